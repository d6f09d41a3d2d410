"""The discriminator of MUNIT: one stack of convolutions for each of several scales of the image.

Source: Huang et al., ECCV 2018; Wang et al., CVPR 2018.
"""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from pocketgan.networks.layers import ConvLayer
from pocketgan.networks.spec import ScoreSpec


class MsImageSpec(ScoreSpec):
    """`scales` stacks of `layers` stride-2 convolutions without norm; each scale sees half the side of the last."""

    title = "MUNIT"

    kind: Literal["ms_image"] = "ms_image"
    in_channels: PositiveInt = 3
    width: PositiveInt = 64
    layers: PositiveInt = 4
    scales: PositiveInt = 3

    @property
    def smallest_side(self) -> int:
        """The smallest image side that leaves a patch to score at every scale."""
        return (2**self.layers - 1) * 2 ** (self.scales - 1) + 1  # pooling rounds up, convolutions round down

    def build(self) -> MsImageDiscriminator:
        return MsImageDiscriminator(self)


class MsImageDiscriminator(nn.Module):
    """(batch, in, H, W) in [-1, 1] -> for each scale, full size first, (batch, 1, h, w): a score for each patch."""

    def __init__(self, spec: MsImageSpec) -> None:
        super().__init__()
        self.spec = spec
        channels = [spec.in_channels, *(spec.width * 2**k for k in range(spec.layers))]
        conv: dict[str, Any] = dict(stride=2, pad=1, padding="reflect", activation="leaky")
        self.scales = nn.ModuleList(
            nn.Sequential(
                *(ConvLayer(channels[k], channels[k + 1], 4, **conv) for k in range(spec.layers)),
                nn.Conv2d(channels[-1], 1, 1),
            )
            for _ in range(spec.scales)
        )

    def forward(self, x: Float[Tensor, "batch in height width"]) -> list[Tensor]:
        scores = []
        for i, scale in enumerate(self.scales):
            if i:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            scores.append(scale(x))
        return scores
