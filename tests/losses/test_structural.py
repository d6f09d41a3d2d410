import math

import pytest
import torch

from pocketgan.losses import structural
from pocketgan.losses.structural import ssim_loss, total_variation


def draw(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def restated_ssim(a, b):
    """Wang et al., pixel by pixel: a two-dimensional window of 11 pixels, zeros around the image."""
    window = torch.tensor(
        [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)],
        dtype=torch.float64,
    )
    window /= window.sum()
    c1, c2 = 1e-4, 9e-4
    a, b = (torch.nn.functional.pad(x, (5, 5, 5, 5)) for x in (a, b))
    scores = []
    for n in range(a.shape[0]):
        for c in range(a.shape[1]):
            for i in range(a.shape[2] - 10):
                for j in range(a.shape[3] - 10):
                    x, y = (image[n, c, i : i + 11, j : j + 11] for image in (a, b))
                    mx, my = (window * x).sum(), (window * y).sum()
                    vx, vy = (window * x * x).sum() - mx**2, (window * y * y).sum() - my**2
                    cov = (window * x * y).sum() - mx * my
                    scores.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return torch.stack(scores).mean()


def test_ssim_is_the_restated_one():
    a, b = draw(2, 2, 7, 12), draw(2, 2, 7, 12, seed=1)
    assert ssim_loss(a, b).item() == pytest.approx(1 - restated_ssim(a, b).item(), rel=1e-10)
    mixed = (a + 0.2 * b).clamp(-1, 1)
    assert ssim_loss(a, mixed).item() == pytest.approx(1 - restated_ssim(a, mixed).item(), rel=1e-10)


def test_ssim_of_equal_and_of_unrelated_images():
    a = draw(1, 3, 16, 16)
    assert ssim_loss(a, a).item() == pytest.approx(0, abs=1e-12)
    assert ssim_loss(a, draw(1, 3, 16, 16, seed=1)).item() > 0.5


def test_ssim_has_a_gradient_where_images_differ():
    a, b = draw(1, 3, 16, 16).requires_grad_(), draw(1, 3, 16, 16, seed=1)
    ssim_loss(a, b).backward()
    assert a.grad.isfinite().all()
    assert ssim_loss(a - 10 * a.grad, b) < ssim_loss(a, b)


def test_total_variation_is_a_sum():
    image = torch.zeros(2, 3, 5, 6)
    image[1, 2, 2, 3] = 0.5
    assert total_variation(image).item() == pytest.approx(4 * 0.5)
    ramp = torch.arange(6.0).repeat(2, 3, 5, 1)
    assert total_variation(ramp).item() == 2 * 3 * 5 * 5
    assert total_variation(ramp.mT).item() == 2 * 3 * 5 * 5


def test_the_window_is_made_once_for_a_side_and_gives_the_same_numbers():
    a, b = draw(1, 3, 13, 17), draw(1, 3, 13, 17, seed=1)
    structural._bands.cache_clear()
    first = ssim_loss(a, b)
    made = structural._bands.cache_info().misses
    assert ssim_loss(a, b) == first
    assert ssim_loss(a.float(), b.float()).dtype == torch.float32
    assert (made, structural._bands.cache_info().misses) == (2, 4)


def test_a_window_made_for_a_figure_serves_a_loss_too():
    """PyTorch takes no gradients through what inference mode made."""
    a, b = draw(1, 3, 9, 9).requires_grad_(), draw(1, 3, 9, 9, seed=1)
    structural._bands.cache_clear()
    with torch.inference_mode():
        ssim_loss(a, b)
    ssim_loss(a, b).backward()
    assert a.grad.abs().sum() > 0
