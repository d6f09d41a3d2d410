"""Comparing images by local structure, and their smoothness."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim_loss(
    images: Float[Tensor, "batch channels height width"], targets: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, ""]:
    """1 - SSIM, the mean over batch, channels and positions: 0 for equal images.

    As OMGD has it: a Gaussian window of 11 pixels (sigma 1.5), zeros around the image, and the constants
    C1 = 0.0001 and C2 = 0.0009, which are meant for images of range 1, on images in [-1, 1]. It is a loss and no
    figure to report: for that, see `pocketgan.metrics`.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, with the
    constants of Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021.
    """
    products = torch.cat((images, targets, images * images, targets * targets, images * targets))
    x, y, xx, yy, xy = _blur(products).chunk(5)
    luminance = (2 * x * y + _C1) / (x * x + y * y + _C1)
    structure = (2 * (xy - x * y) + _C2) / (xx - x * x + yy - y * y + _C2)
    return 1 - (luminance * structure).mean()


def _blur(x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
    """Gaussian means, rows then columns, with zeros around the image.

    As products with banded matrices: many times faster on a CPU than convolutions of one channel.
    """
    height, width = (_bands(side, x.dtype, x.device) for side in x.shape[-2:])
    return height @ x @ width


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _bands(side: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "side side"]:
    """Row i holds the window around position i, as far as it lies within the side. Kept, and not to be changed."""
    reach = _WINDOW // 2
    exponents = -torch.arange(-reach, reach + 1, dtype=dtype, device=device).square() / (2 * _SIGMA**2)
    places = torch.arange(side, dtype=dtype, device=device)
    logits = -(places - places[:, None]).square() / (2 * _SIGMA**2)
    near = (places - places[:, None]).abs() <= reach
    # normalised over the whole window: at the border a part of it sees zeros
    return torch.exp(logits - exponents.logsumexp(0)) * near


def total_variation(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, ""]:
    """The absolute differences between neighbouring pixels, summed over rows, columns, channels and batch.

    A raw sum, as OMGD has it: it grows with the batch and the image.
    """
    return images.diff(dim=-1).abs().sum() + images.diff(dim=-2).abs().sum()
