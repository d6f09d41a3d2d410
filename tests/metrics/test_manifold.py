import numpy as np
import pytest
import torch

from pocketgan.errors import DataError
from pocketgan.metrics import manifold
from pocketgan.metrics.manifold import coverage, density, precision, recall

from .toy import samples


def restated(x, y):
    """The four definitions, image by image: x generated, y real."""

    def radius(points, i, k):
        return sorted(np.linalg.norm(points[i] - p) for j, p in enumerate(points) if j != i)[k - 1]

    def near(a, b, r):
        return np.linalg.norm(a - b) <= r

    r3, g3 = [radius(y, i, 3) for i in range(len(y))], [radius(x, i, 3) for i in range(len(x))]
    r5 = [radius(y, i, 5) for i in range(len(y))]
    return {
        "precision": np.mean([any(near(a, b, r) for b, r in zip(y, r3, strict=True)) for a in x]),
        "recall": np.mean([any(near(b, a, r) for a, r in zip(x, g3, strict=True)) for b in y]),
        "density": np.mean([sum(near(a, b, r) for b, r in zip(y, r5, strict=True)) / 5 for a in x]),
        "coverage": np.mean([any(near(a, b, r) for a in x) for b, r in zip(y, r5, strict=True)]),
    }


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_against_the_definitions(shift, monkeypatch):
    monkeypatch.setattr(manifold, "BLOCK", 7)
    x, y = samples(25, 3, seed=1, shift=shift), samples(31, 3, seed=2)
    expected = restated(x.numpy(), y.numpy())
    found = {name: getattr(manifold, name)(x, y) for name in expected}
    assert {name: figure.value for name, figure in found.items()} == pytest.approx(expected, rel=1e-12)
    for figure in found.values():
        assert figure.generated.shape == (25,)
        assert figure.generated.mean() == pytest.approx(0, abs=1e-12)
    assert found["precision"].real is None
    assert found["recall"].real.shape == (31,)
    assert found["recall"].real.mean() == pytest.approx(0, abs=1e-12)
    assert 0 < expected["coverage"] < 1


def test_equal_sets_and_sets_far_apart():
    x = samples(20, 4, seed=1)
    assert [f(x, x).value for f in (precision, recall, coverage)] == [1, 1, 1]
    assert [f(x, x + 100).value for f in (precision, recall, density, coverage)] == [0, 0, 0, 0]


def test_all_images_alike():
    x = torch.full((8, 3), 0.1)
    assert [f(x, x).value for f in (precision, recall, coverage)] == [1, 1, 1]
    assert precision(x + 1, x).value == 0


def test_too_few_images():
    with pytest.raises(DataError, match="need more than 3 images to find neighbours, and there are 3; add"):
        precision(torch.rand(9, 2), torch.rand(3, 2))
    with pytest.raises(DataError, match="need more than 5 images to find neighbours, and there are 5; add"):
        coverage(torch.rand(9, 2), torch.rand(5, 2))
