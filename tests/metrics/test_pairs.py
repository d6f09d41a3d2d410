import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from pocketgan.errors import DataError
from pocketgan.metrics.pairs import l1, ms_ssim, psnr, ssim


def pair(batch=3, height=20, width=24):
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    noise = torch.rand(targets.shape, generator=generator) * torch.linspace(0.1, 1, batch).view(-1, 1, 1, 1)
    return (targets + noise).clamp(-1, 1), targets


def textbook_ssim(x, y):
    """Wang et al.'s equation 13 on grey levels 0 to 255, mean over pixels and channels."""
    x, y = (x + 1) * 127.5, (y + 1) * 127.5
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def blur(a):
        return correlate1d(correlate1d(a, taps, axis=1, mode="mirror"), taps, axis=2, mode="mirror")

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    return np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


@pytest.mark.parametrize("batch", [1, 3])
def test_each_image_against_the_formula(batch):
    images, targets = pair(batch)
    x, y = images.double().numpy(), targets.double().numpy()
    assert l1(images, targets).tolist() == pytest.approx(
        [np.abs(a - b).mean() for a, b in zip(x, y, strict=True)], rel=1e-5
    )
    assert psnr(images, targets).tolist() == pytest.approx(
        [10 * math.log10(4 / ((a - b) ** 2).mean()) for a, b in zip(x, y, strict=True)], rel=1e-5
    )
    assert ssim(images, targets).tolist() == pytest.approx(
        [textbook_ssim(a, b) for a, b in zip(x, y, strict=True)], rel=1e-4
    )


def test_equal_images():
    _, targets = pair()
    assert l1(targets, targets).tolist() == [0, 0, 0]
    assert psnr(targets, targets).tolist() == [math.inf] * 3
    assert ssim(targets, targets).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_black_against_white():
    black, white = -torch.ones(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    assert l1(black, white).tolist() == [2]
    assert psnr(black, white).tolist() == [0]
    # Nothing but the two means: c1 / (range² + c1).
    assert ssim(black, white).item() == pytest.approx(4e-4 / (4 + 4e-4), rel=1e-3)


def textbook_ms_ssim(x, y):
    """Wang et al.'s equation 7 with the published weights, on grey levels 0 to 255; scales by 2 x 2 means."""
    x, y = (x + 1) * 127.5, (y + 1) * 127.5
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def blur(a):
        return correlate1d(correlate1d(a, taps, axis=1, mode="mirror"), taps, axis=2, mode="mirror")

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    score = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        structure = (2 * cov + c2) / (vx + vy + c2)
        last = (structure * (2 * mx * my + c1) / (mx**2 + my**2 + c1)).mean()
        structure = structure[:, 5:-5, 5:-5]  # whole windows only, but for the last scale
        score *= structure.mean() ** weight
        height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
        x, y = (a[:, :height, :width].reshape(3, height // 2, 2, width // 2, 2).mean((2, 4)) for a in (x, y))
    return score / structure.mean() ** weight * last**weight


def test_ms_ssim_against_the_formula():
    images, targets = pair(2, 176, 192)
    x, y = images.double().numpy(), targets.double().numpy()
    expected = [textbook_ms_ssim(a, b) for a, b in zip(x, y, strict=True)]
    assert ms_ssim(images, targets).tolist() == pytest.approx(expected, rel=1e-4)
    assert ms_ssim(targets, targets).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_against_torchmetrics():
    from torchmetrics.image import (
        MultiScaleStructuralSimilarityIndexMeasure,
        PeakSignalNoiseRatio,
        StructuralSimilarityIndexMeasure,
    )

    images, targets = pair(3, 180, 180)
    for ours, theirs in (
        (psnr, PeakSignalNoiseRatio(data_range=255, dim=(1, 2, 3))),
        (ssim, StructuralSimilarityIndexMeasure(data_range=255)),
        (ms_ssim, MultiScaleStructuralSimilarityIndexMeasure(data_range=255, normalize="relu")),
    ):
        expected = theirs((images.double() + 1) * 127.5, (targets.double() + 1) * 127.5)
        assert ours(images, targets).mean().item() == pytest.approx(expected.item(), rel=1e-4)


def test_images_that_are_too_small():
    _, targets = pair(2, 175, 180)
    with pytest.raises(
        DataError, match="ms_ssim needs images of at least 176 pixels a side, and these are 175 x 180"
    ):
        ms_ssim(targets, targets)
    with pytest.raises(DataError, match="ssim needs images of at least 6 pixels a side, and these are 5 x 9; "):
        ssim(targets[..., :5, :9], targets[..., :5, :9])
