"""Discriminators: networks that tell real images from made ones, patch by patch.

Source: Isola et al., CVPR 2017 (PatchGAN).
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor, nn

from pocketgan.networks.layers import ConvLayer
from pocketgan.networks.spec import Norm


class PatchSpec(BaseModel):
    """A PatchGAN of `layers` stride-2 convolutions; `in_channels` counts condition and image together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["patch"] = "patch"
    in_channels: PositiveInt = 6
    width: PositiveInt = 64
    layers: PositiveInt = 3
    norm: Norm = "instance"

    @property
    def smallest_side(self) -> int:
        """The smallest image side that leaves a patch to score."""
        return 3 * 2**self.layers

    def build(self) -> PatchDiscriminator:
        return PatchDiscriminator(self)


class PatchDiscriminator(nn.Module):
    """(batch, in, H, W) in [-1, 1] -> (batch, 1, h, w): one score, without sigmoid, for each patch."""

    def __init__(self, spec: PatchSpec) -> None:
        super().__init__()
        self.spec = spec
        channels = [spec.width * min(2**k, 8) for k in range(spec.layers + 1)]
        self.layers = nn.Sequential(
            ConvLayer(spec.in_channels, channels[0], 4, stride=2, pad=1, activation="leaky"),
            *(
                ConvLayer(
                    channels[k - 1],
                    channels[k],
                    4,
                    stride=2 if k < spec.layers else 1,
                    pad=1,
                    norm=spec.norm,
                    activation="leaky",
                )
                for k in range(1, spec.layers + 1)
            ),
            ConvLayer(channels[-1], 1, 4, pad=1),
        )

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch 1 rows columns"]:
        return self.layers(x)
