"""A generated image should look like the real one to the discriminator's own features.

Source: Wang et al. (pix2pixHD), CVPR 2018, section 3.2; Park et al. (SPADE), CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def feature_matching(fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Float[Tensor, ""]:
    """1 / scales * sum over scales and over all feature maps but the last (the scores) of mean |fake - real|.

    `fake`, `real`: for each scale, the feature maps of a multiscale discriminator. No gradient reaches the real
    ones.
    """
    terms = [
        F.l1_loss(f, r.detach())
        for fakes, reals in zip(fake, real, strict=True)
        for f, r in zip(fakes[:-1], reals[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(fake)
