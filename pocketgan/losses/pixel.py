"""How far two images are apart, pixel by pixel."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Pixel = Literal["l1", "l2", "smooth_l1"]


def pixel_loss(
    a: Float[Tensor, "batch channels height width"],
    b: Float[Tensor, "batch channels height width"],
    kind: Pixel,
) -> Float[Tensor, ""]:
    """The mean over all elements of |a-b|, (a-b)^2 or the Huber loss with threshold 1."""
    return {"l1": F.l1_loss, "l2": F.mse_loss, "smooth_l1": F.smooth_l1_loss}[kind](a, b)
