"""What each generated image scores against its own target.

All three take two batches of images in [-1, 1] and give one figure an image.
"""

from typing import cast

from jaxtyping import Float
from torch import Tensor

# The width of [-1, 1].
_RANGE = 2.0


def l1(
    images: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, " batch"]:
    """Mean absolute difference, on the [-1, 1] scale: 0 for equal images, at most 2."""
    return (images - targets).abs().mean(dim=(1, 2, 3))


def psnr(
    images: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, " batch"]:
    """Peak signal-to-noise ratio in dB, 10 log10(range² / mean squared error); infinite for equal images."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(images, targets, data_range=_RANGE, reduction="none", dim=(1, 2, 3))


def ssim(
    images: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, " batch"]:
    """Structural similarity, 1 for equal images; Gaussian window of 11 pixels, σ = 1.5, borders reflected.

    The formula compares means, hence is made for images that start at 0: it is taken on [0, 2], which gives
    what the usual [0, 255] gives. Images must be more than 5 pixels wide and high.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    scores = structural_similarity_index_measure(images + 1, targets + 1, data_range=_RANGE, reduction="none")
    return cast(Tensor, scores)
