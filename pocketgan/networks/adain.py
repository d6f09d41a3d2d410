"""The layers that are MUNIT's own: styled normalisation and blocks, the layer norm, the network that reads a style.

Source: Huang and Belongie, ICCV 2017 (AdaIN); Huang et al., ECCV 2018 (MUNIT).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.networks.layers import ConvLayer, declare_segments, exact


class AdaptiveNorm(nn.Module):
    """Normalises each channel of each image over space, then scales and shifts it by numbers that are given.

    y = scale * (x - mean) / sqrt(var + 1e-5) + shift, biased variance.
    """

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        shift: Float[Tensor, "batch channels"],
        scale: Float[Tensor, "batch channels"],
    ) -> Float[Tensor, "batch channels height width"]:
        # every channel of every image becomes a channel of its own
        flat = x.flatten(0, 1)[None]
        return F.instance_norm(flat, weight=exact(scale).flatten(), bias=exact(shift).flatten()).view_as(x)


class LayerNorm(nn.Module):
    """Normalises each image over channels and space together; a scale and a shift for each channel.

    y = gamma * (x - mean) / (std + 1e-5) + beta, unbiased standard deviation. gamma starts uniform in [0, 1).
    Source: the official MUNIT code's behaviour.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        x = exact(x)
        x = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 1e-5)
        return x * self.gamma.view(-1, 1, 1) + self.beta.view(-1, 1, 1)


class StyledBlock(nn.Module):
    """x + f(x), f two 3x3 convolutions with an adaptive norm each; no activation after the sum.

    Takes for each norm the shift and the scale: see `sizes`.
    """

    def __init__(self, stream: int, inner: int, *, separable: bool) -> None:
        super().__init__()
        conv: dict[str, Any] = dict(pad=1, padding="reflect", separable=separable)
        self.first = ConvLayer(stream, inner, 3, **conv)
        self.first_norm = AdaptiveNorm()
        self.second = ConvLayer(inner, stream, 3, **conv)
        self.second_norm = AdaptiveNorm()
        self.sizes = (inner, inner, stream, stream)

    def forward(
        self, x: Float[Tensor, "batch stream height width"], *numbers: Float[Tensor, "batch _"]
    ) -> Float[Tensor, "batch stream height width"]:
        y = F.relu(self.first_norm(self.first(x), *numbers[:2]))
        return x + self.second_norm(self.second(y), *numbers[2:])


class UpLayer(nn.Module):
    """Doubles the side by repeating pixels, then a 5x5 convolution, layer norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, separable: bool) -> None:
        super().__init__()
        self.norm = LayerNorm(out_channels)
        self.layer = ConvLayer(in_channels, out_channels, 5, pad=2, padding="reflect", separable=separable)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Tensor:
        return F.relu(self.norm(self.layer(F.interpolate(x, scale_factor=2, mode="nearest"))))


class StyleReader(nn.Module):
    """Three linear layers: a style code -> the shifts and scales of every adaptive norm, one after the other."""

    def __init__(self, style_channels: int, width: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(style_channels, width), nn.Linear(width, width)])
        self.last = nn.Linear(width, sum(sizes))
        self.sizes = sizes
        declare_segments(self.last, sizes, weight=0, bias=0)

    def forward(self, style: Float[Tensor, "batch style 1 1"]) -> tuple[Tensor, ...]:
        y = style.flatten(1)
        for layer in self.hidden:
            y = F.relu(layer(y))
        return self.last(y).split(self.sizes, dim=1)
