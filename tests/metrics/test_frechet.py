import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.linalg import sqrtm

from pocketgan.errors import DataError
from pocketgan.metrics.frechet import Statistics, extrapolated, frechet, frechet_distance

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


@pytest.mark.parametrize(("n", "m"), [(40, 60), (60, 9), (9, 200), (9, 7)])
def test_the_figure_is_the_distance(n, m):
    x, y = torch.tensor(samples(n, 8, seed=1)), torch.tensor(samples(m, 8, seed=2))
    figure = frechet(x, y)
    assert figure.value == pytest.approx(frechet_distance(Statistics.of(x), Statistics.of(y)), rel=1e-9)
    assert frechet(x, Statistics.of(y)).value == pytest.approx(figure.value, rel=1e-9)
    np.testing.assert_allclose(frechet(x, Statistics.of(y)).generated, figure.generated, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(frechet(y, x).generated, figure.real, rtol=1e-6, atol=1e-9)
    assert figure.generated.mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("n", [30, 60])
def test_influences_are_the_derivative_by_the_weights(n):
    """Of all images a thousand times, one once more changes the distance as its influence says."""
    x, y = torch.tensor(samples(n, 8, seed=1)), torch.tensor(samples(25, 8, seed=2))
    thousand = torch.full((n,), 1000)

    def distance(weights):
        return frechet_distance(Statistics.of(x, weights), Statistics.of(y))

    base, figure = distance(thousand), frechet(x, y)
    for row in (0, 3, n - 1):
        more = thousand.clone()
        more[row] += 1
        slope = (distance(more) - base) * 1000 * n
        assert slope == pytest.approx(figure.generated[row], rel=0.1, abs=0.1 * figure.generated.std())


def test_extrapolation_takes_the_bias_away():
    """Of two samples of one Gaussian the distance is far above 0 and falls with their number."""
    generator = np.random.default_rng(5)
    x = torch.tensor(generator.normal(size=(400, 8)))
    y = torch.tensor(generator.normal(size=(400, 8)))
    plain = frechet(x, y).value
    found = extrapolated(x, y, paired=False, random=np.random.default_rng(0)).value
    assert abs(found) < plain / 2
    assert found == extrapolated(x, y, paired=False, random=np.random.default_rng(0)).value
    assert found != extrapolated(x, y, paired=False, random=np.random.default_rng(1)).value
    known = Statistics.from_moments(torch.zeros(8), torch.eye(8), count=0)
    figure = extrapolated(x, known, paired=False, random=np.random.default_rng(0))
    assert abs(figure.value) < frechet(x, known).value
    assert figure.real is None
    # more is uncertain than of the plain distance: the line too
    assert figure.generated.std() > frechet(x, known).generated.std()


def test_pairs_stay_together_in_an_extrapolation():
    x = torch.tensor(samples(40, 4, seed=1))
    assert extrapolated(x, x, paired=True, random=np.random.default_rng(0)).value == pytest.approx(0, abs=1e-7)
    assert extrapolated(x, x, paired=False, random=np.random.default_rng(0)).value != pytest.approx(0, abs=1e-3)


def test_published_statistics_are_read(tmp_path):
    x = samples(50, 7, seed=3)
    np.savez(tmp_path / "real.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    found = Statistics.read(tmp_path / "real.npz", 7)
    np.testing.assert_allclose(found.mean, x.mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(x, rowvar=False), rtol=1e-9, atol=1e-12)
    assert frechet_distance(found, Statistics.of(torch.tensor(x))) < 1e-9


def test_files_that_hold_no_statistics(tmp_path):
    file = tmp_path / "real.npz"
    for spoil, reason in (
        (lambda: file.write_bytes(b"no"), "holds no statistics; give an .npz file with the arrays mu and sigma"),
        (lambda: np.savez(file, mu=np.zeros(3)), "holds no statistics"),
        (
            lambda: np.savez(file, mu=np.zeros(3), sigma=np.eye(3)),
            r"are of \(3,\) and \(3, 3\) numbers, .* gives 7",
        ),
        (lambda: np.savez(file, mu=np.full(7, np.nan), sigma=np.eye(7)), "are not finite"),
        (lambda: np.savez(file, mu=np.array([{}]), sigma=np.eye(7)), "holds no statistics"),
        (file.unlink, "holds no statistics"),
    ):
        spoil()
        with pytest.raises(DataError, match=reason):
            Statistics.read(file, 7)


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
