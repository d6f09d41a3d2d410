import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.linalg import sqrtm

from pocketgan.errors import DataError
from pocketgan.metrics.frechet import Statistics, frechet_distance

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "metrics"


def textbook(x, y):
    """The definition, by numpy and scipy."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = sqrtm(s @ t).real
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s + t - 2 * root)


def samples(count, dimensions, seed):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, dimensions)) @ generator.normal(size=(dimensions, dimensions)) + seed


@pytest.mark.parametrize(("n", "m"), [(40, 60), (60, 9), (9, 200)])
def test_distance_equals_the_matrix_square_root(n, m):
    x, y = samples(n, 8, seed=1), samples(m, 8, seed=2)
    distance = frechet_distance(Statistics.of(torch.tensor(x)), Statistics.of(torch.tensor(y)))
    assert distance == pytest.approx(textbook(x, y), rel=1e-9)


def test_fewer_samples_than_dimensions():
    x, y = samples(6, 20, seed=1), samples(5, 20, seed=2)
    a, b = Statistics.of(torch.tensor(x)), Statistics.of(torch.tensor(y))
    assert a.factor.shape == (6, 20)
    # The textbook route is inexact here: its square root is of a matrix of rank 4.
    assert frechet_distance(a, b) == pytest.approx(textbook(x, y), rel=1e-5)


def test_diagonal_gaussians_have_a_closed_form():
    mean, other = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 1.0, 0.0])
    variance, more = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([4.0, 0.0, 1.0])
    a = Statistics.from_moments(mean, variance.diag(), count=10)
    b = Statistics.from_moments(other, more.diag(), count=10)
    assert frechet_distance(a, b) == pytest.approx((1 + 4) + (1 + 4 + 4), rel=1e-12)


def test_statistics_are_those_of_numpy():
    for count in (5, 50):
        x = samples(count, 7, seed=3)
        statistics = Statistics.of(torch.tensor(x))
        assert statistics.count == count
        np.testing.assert_allclose(statistics.mean, x.mean(0), rtol=1e-12)
        np.testing.assert_allclose(statistics.covariance, np.cov(x, rowvar=False), rtol=1e-9, atol=1e-12)


def test_weights_repeat_samples():
    x, y = torch.tensor(samples(12, 5, seed=1)), torch.tensor(samples(9, 5, seed=2))
    rows = torch.tensor([0, 3, 3, 3, 7, 11, 11])
    weighted = Statistics.of(x, torch.bincount(rows, minlength=len(x)))
    repeated = Statistics.of(x[rows])
    assert weighted.count == repeated.count == 7
    assert frechet_distance(weighted, Statistics.of(y)) == pytest.approx(
        frechet_distance(repeated, Statistics.of(y)), rel=1e-12
    )


def test_equal_sets_are_at_distance_zero_and_order_does_not_matter():
    x, y = torch.tensor(samples(30, 50, seed=1)), torch.tensor(samples(30, 50, seed=2))
    a, b = Statistics.of(x), Statistics.of(y)
    assert 0 <= frechet_distance(a, Statistics.of(x.flip(0))) < 1e-8
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


def test_one_sample_has_no_covariance():
    with pytest.raises(DataError, match="at least 2 images, and there is 1"):
        Statistics.of(torch.zeros(1, 4))


needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="needs the golden data in ../shared")


def golden():
    values = json.loads((GOLDEN / "frechet.json").read_text())["values"]
    return load_file(GOLDEN / "frechet.safetensors"), values


def golden_pair(tensors, case):
    return (
        Statistics.from_moments(tensors[f"input.{case}.mu{i}"], tensors[f"input.{case}.sigma{i}"], count=100)
        for i in (1, 2)
    )


@needs_golden
@pytest.mark.parametrize("case", ["pair0", "pair1", "pair2"])
def test_golden_pairs(case):
    tensors, values = golden()
    a, b = golden_pair(tensors, case)
    assert frechet_distance(a, b) == pytest.approx(values[case], rel=1e-6)
    assert frechet_distance(a, a) < 1e-6


@needs_golden
def test_golden_rank_deficient_pair():
    tensors, values = golden()
    distance = frechet_distance(*golden_pair(tensors, "singular"))
    assert distance == pytest.approx(values["singular"], rel=1e-3)
    assert distance == pytest.approx(values["singular_eigenvalue_reference"], rel=1e-6)


@needs_golden
def test_golden_statistics_of_activations():
    tensors, _ = golden()
    statistics = Statistics.of(tensors["input.activations"])
    torch.testing.assert_close(statistics.mean, tensors["output.mu"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(statistics.covariance, tensors["output.sigma"], rtol=1e-9, atol=1e-12)
