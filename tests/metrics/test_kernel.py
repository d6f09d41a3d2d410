import numpy as np
import pytest
import torch
from torch import nn

from pocketgan.errors import DataError
from pocketgan.metrics import kernel
from pocketgan.metrics.kernel import gaussian, kernel_distance, polynomial

from .toy import samples


def textbook(x, y, k):
    """The unbiased estimate, term by term."""
    n, m = len(x), len(y)
    own = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (n * (n - 1))
    other = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (m * (m - 1))
    return own + other - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def cubic(a, b):
    return (a @ b / len(a) + 1) ** 3


def bell(a, b):
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return 1000 * np.exp(-((a - b) ** 2).sum() / (2 * 10**2))


@pytest.mark.parametrize(("ours", "theirs"), [(polynomial, cubic), (gaussian, bell)])
def test_against_the_sum_over_all_pairs(ours, theirs):
    x, y = samples(9, 5, seed=1), samples(7, 5, seed=2, shift=0.4)
    expected = textbook(x.numpy(), y.numpy(), theirs)
    assert kernel_distance(x, y, ours).value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_kid_of_torchmetrics():
    """Its subsets, as large as the sets, are the sets."""
    from torchmetrics.image.kid import KernelInceptionDistance

    x, y = samples(30, 16, seed=1).float(), samples(30, 16, seed=2, shift=0.3).float()
    metric = KernelInceptionDistance(feature=nn.Identity(), subsets=2, subset_size=30)
    metric.real_features, metric.fake_features = [y], [x]
    mean, deviation = metric.compute()
    assert kernel_distance(x, y).value == pytest.approx(mean.item(), rel=1e-4)
    assert deviation.item() == pytest.approx(0, abs=1e-5)


def test_blocks_do_not_matter(monkeypatch):
    x, y = samples(23, 6, seed=1), samples(17, 6, seed=2)
    whole = kernel_distance(x, y)
    monkeypatch.setattr(kernel, "BLOCK", 4)
    parts = kernel_distance(x, y)
    assert parts.value == pytest.approx(whole.value, rel=1e-9)
    np.testing.assert_allclose(parts.generated, whole.generated)
    np.testing.assert_allclose(parts.real, whole.real)


def test_influences_are_what_is_missed_without_an_image():
    x, y = samples(40, 4, seed=1), samples(30, 4, seed=2, shift=0.5)
    figure = kernel_distance(x, y)
    without = [kernel_distance(torch.cat([x[:i], x[i + 1 :]]), y).value for i in range(len(x))]
    jackknife = (np.mean(without) - np.array(without)) * (len(x) - 1)
    np.testing.assert_allclose(figure.generated, jackknife, atol=0.15 * np.std(jackknife))
    without = [kernel_distance(x, torch.cat([y[:i], y[i + 1 :]])).value for i in range(len(y))]
    jackknife = (np.mean(without) - np.array(without)) * (len(y) - 1)
    np.testing.assert_allclose(figure.real, jackknife, atol=0.15 * np.std(jackknife))


def test_no_bias_hence_negative_values_too():
    values = [kernel_distance(samples(12, 4, seed=2 * s), samples(12, 4, seed=2 * s + 1)).value for s in range(60)]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 3 * np.std(values) / 60**0.5


def test_one_image_is_refused_and_equal_ones_are_not():
    with pytest.raises(DataError, match="needs at least 2 images of each kind, and there is 1; add images"):
        kernel_distance(torch.zeros(1, 3), torch.zeros(4, 3))
    assert kernel_distance(torch.ones(4, 3), torch.ones(5, 3)).value == pytest.approx(0, abs=1e-12)
    assert kernel_distance(torch.zeros(4, 3), torch.zeros(5, 3), gaussian).value == pytest.approx(0, abs=1e-9)
