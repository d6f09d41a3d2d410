"""What each generated image scores against its own target.

All take two batches of images in [-1, 1] and give one figure an image.
"""

from typing import cast

from jaxtyping import Float
from torch import Tensor

from pocketgan.errors import DataError

# The width of [-1, 1].
_RANGE = 2.0


def l1(
    images: Float[Tensor, "batch channels height width"], targets: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    """Mean absolute difference, on the [-1, 1] scale: 0 for equal images, at most 2."""
    return (images - targets).abs().mean(dim=(1, 2, 3))


def psnr(
    images: Float[Tensor, "batch channels height width"], targets: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    """Peak signal-to-noise ratio in dB, 10 log10(range² / mean squared error); infinite for equal images."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(images, targets, data_range=_RANGE, reduction="none", dim=(1, 2, 3))


def ssim(
    images: Float[Tensor, "batch channels height width"], targets: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    """Structural similarity, 1 for equal images; Gaussian window of 11 pixels, σ = 1.5, borders reflected.

    The formula compares means, hence is made for images that start at 0: it is taken on [0, 2], which gives
    what the usual [0, 255] gives. Images must be more than 5 pixels wide and high (DataError).

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    _require(images, 6, "ssim")
    # variances are differences of large numbers: in float32 a score is off by some 1e-4
    x, y = _doubled(images) + 1, _doubled(targets) + 1
    scores = structural_similarity_index_measure(x, y, data_range=_RANGE, reduction="none")
    return cast(Tensor, scores).float()


def ms_ssim(
    images: Float[Tensor, "batch channels height width"], targets: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    """Structural similarity at five scales, 1 for equal images; windows and range as `ssim`.

    The usual weights 0.0448, 0.2856, 0.3001, 0.2363, 0.1333; a negative term counts as 0. Images must be at least
    176 pixels wide and high (DataError), so that the window of 11 pixels fits the smallest scale (a sixteenth).

    Source: Wang et al., "Multiscale structural similarity for image quality assessment", 2003.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    _require(images, 176, "ms_ssim")
    x, y = _doubled(images) + 1, _doubled(targets) + 1
    scores = multiscale_structural_similarity_index_measure(
        x, y, data_range=_RANGE, reduction="none", normalize="relu"
    )
    return cast(Tensor, scores).float()


def _doubled(images: Tensor) -> Tensor:
    """In float64; on a CPU where the device has none."""
    return (images.cpu() if images.device.type == "mps" else images).double()


def _require(images: Float[Tensor, "batch channels height width"], side: int, name: str) -> None:
    height, width = images.shape[-2:]
    if min(height, width) < side:
        raise DataError(
            f"{name} needs images of at least {side} pixels a side, and these are {height} x {width}; "
            "evaluate at a larger size or leave it out"
        )
