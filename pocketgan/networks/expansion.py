"""The block that makes OMGD's deep teachers deep.

Source: Ren et al., Online Multi-Granularity Distillation for GAN Compression, ICCV 2021, and its official code.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.networks.layers import Channels, ConvLayer
from pocketgan.networks.spec import Group, Norm

INNER = ("wide", "wider", "narrow")


def expansion_groups(block: str, factor: int, number: int) -> tuple[Group, ...]:
    """The width groups of a block on a stream of `factor` times the width: four, four and one times as wide."""
    return tuple(
        Group(f"{block}.{name}", times * factor, number) for name, times in zip(INNER, (4, 4, 1), strict=True)
    )


class ExpansionBlock(nn.Module):
    """x + f(x); f is 1x1, 3x3, 1x1 and 3x3 convolutions with a norm each, the first two four times as wide.

    The border that the first 3x3 convolution uses up is added before the 1x1 in front of it, so that the norm
    between the two counts it in. No activation after the sum. `channels` holds those of the block's three groups.
    """

    def __init__(self, block: str, stream: Channels, channels: dict[str, int], norm: Norm) -> None:
        super().__init__()
        wide, wider, narrow = (channels[f"{block}.{name}"] for name in INNER)
        conv: dict[str, Any] = dict(padding="reflect", norm=norm)
        self.layers = nn.Sequential(
            ConvLayer(stream, wide, 1, pad=1, activation="relu", **conv),
            ConvLayer(wide, wider, 3, activation="relu", **conv),
            ConvLayer(wider, narrow, 1, activation="relu", **conv),
            ConvLayer(narrow, stream, 3, pad=1, **conv),
        )

    def forward(self, x: Float[Tensor, "batch stream height width"]) -> Float[Tensor, "batch stream height width"]:
        return x + self.layers(x)
