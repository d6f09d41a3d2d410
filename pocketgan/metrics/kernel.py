"""Kernel distances: the squared maximum mean discrepancy between two sets of features, unbiased at any number.

Of all images at once. The papers average random subsets (of 1000) to save memory; that mean has the same
expectation and more noise, and here blocks of rows keep memory small. Having no bias, the estimate of a small
distance may be negative.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Real
from torch import Tensor

from pocketgan.errors import DataError
from pocketgan.metrics.bootstrap import Figure

Kernel = Callable[[Tensor, Tensor], Tensor]

#: rows of a kernel matrix that are held at a time
BLOCK = 1024


def polynomial(x: Float[Tensor, "rows dimensions"], y: Float[Tensor, "columns dimensions"]) -> Tensor:
    """(x·y / dimensions + 1)³, the kernel of the KID.

    Source: Bińkowski et al., "Demystifying MMD GANs", ICLR 2018.
    """
    return (x @ y.T / x.shape[1] + 1) ** 3


def gaussian(x: Float[Tensor, "rows dimensions"], y: Float[Tensor, "columns dimensions"]) -> Tensor:
    """1000 exp(−‖x − y‖² / (2·10²)) of features scaled to length 1: the kernel, scale and features of CMMD.

    The distance is unbiased here; CMMD's published code counts each image's likeness to itself too, which adds a
    little at small numbers.

    Source: Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation", CVPR 2024.
    """
    x, y = (features / features.norm(dim=1, keepdim=True).clamp(min=1e-12) for features in (x, y))
    return 1000 * torch.exp((2 * x @ y.T - 2) / 200)


def kernel_distance(
    generated: Real[Tensor, "images dimensions"],
    real: Real[Tensor, "reals dimensions"],
    kernel: Kernel = polynomial,
) -> Figure:
    """mean k(x, x') + mean k(y, y') − 2 mean k(x, y) over different x, x' and y, y'; with each image's influence.

    Raises DataError for fewer than two images in a set.

    Source: Gretton et al., "A Kernel Two-Sample Test", JMLR 2012, lemma 6.
    """
    if min(len(generated), len(real)) < 2:
        count = min(len(generated), len(real))
        raise DataError(f"a kernel distance needs at least 2 images of each kind, and there is {count}; add images")
    x, y = (features.detach().to("cpu", torch.float64) for features in (generated, real))
    own_x, own_y = _likeness(x, kernel), _likeness(y, kernel)
    across_x, across_y = x.new_zeros(len(x)), y.new_zeros(len(y))
    for first in range(0, len(x), BLOCK):
        block = kernel(x[first : first + BLOCK], y)
        across_x[first : first + BLOCK] = block.mean(1)
        across_y += block.sum(0) / len(x)
    value = own_x.mean() + own_y.mean() - 2 * across_x.mean()

    def influence(own: Float[Tensor, " images"], across: Float[Tensor, " images"]) -> Float[Tensor, " images"]:
        return 2 * (own - own.mean() - across + across.mean())

    return Figure(float(value), influence(own_x, across_x).numpy(), influence(own_y, across_y).numpy())


def _likeness(x: Float[Tensor, "images dimensions"], kernel: Kernel) -> Float[Tensor, " images"]:
    """The mean kernel of each image with the others of its set."""
    sums = x.new_empty(len(x))
    for first in range(0, len(x), BLOCK):
        rows = x[first : first + BLOCK]
        block = kernel(rows, x)
        block[torch.arange(len(rows)), torch.arange(first, first + len(rows))] = 0
        sums[first : first + BLOCK] = block.sum(1)
    return sums / (len(x) - 1)
