import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from pocketgan.metrics.pairs import l1, psnr, ssim


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
