"""SPADE's discriminator: one PatchGAN for each of several scales of the image, with spectral norm.

Source: Wang et al. (pix2pixHD), CVPR 2018; Park et al. (SPADE), CVPR 2019.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from pocketgan.networks.init import init_xavier
from pocketgan.networks.layers import make_norm
from pocketgan.networks.spec import Norm, ScoreSpec
from pocketgan.networks.spectral import SpectralConv2d

_WIDEST = 512


class MultiscaleSpec(ScoreSpec):
    """`scales` PatchGANs of `layers` + 1 convolutions; `in_channels` counts condition and image together."""

    title = "multi-scale PatchGAN"
    law = staticmethod(init_xavier)

    kind: Literal["multiscale"] = "multiscale"
    in_channels: PositiveInt = 39
    width: PositiveInt = 64
    layers: PositiveInt = 4
    scales: PositiveInt = 2
    norm: Norm | None = "instance"
    spectral: bool = True

    @property
    def smallest_side(self) -> int:
        """The smallest image side that leaves the coarsest scale more than one position."""
        return 2**self.scales

    def build(self) -> MultiscaleDiscriminator:
        return MultiscaleDiscriminator(self)


class Layer(nn.Module):
    """Convolution 4x4, norm, leaky ReLU. A convolution in front of a norm has no bias."""

    def __init__(self, spec: MultiscaleSpec, into: int, out: int, stride: int) -> None:
        super().__init__()
        conv = SpectralConv2d if spec.spectral else nn.Conv2d
        self.conv = conv(into, out, 4, stride, padding=2, bias=spec.norm is None)
        self.norm = make_norm(spec.norm, out)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch out rows columns"]:
        return F.leaky_relu(self.norm(self.conv(x)), 0.2)


class Scale(nn.Module):
    """The PatchGAN of one scale: all its feature maps, the last one the scores."""

    def __init__(self, spec: MultiscaleSpec) -> None:
        super().__init__()
        width = [spec.width, *(min(spec.width * 2**k, _WIDEST) for k in range(1, spec.layers))]
        self.first = nn.Conv2d(spec.in_channels, width[0], 4, 2, padding=2)
        self.middle = nn.ModuleList(
            Layer(spec, width[k - 1], width[k], stride=2 if k < spec.layers - 1 else 1)
            for k in range(1, spec.layers)
        )
        self.last = nn.Conv2d(width[-1], 1, 4, padding=2)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> list[Tensor]:
        features = [F.leaky_relu(self.first(x), 0.2)]
        for layer in self.middle:
            features.append(layer(features[-1]))
        return [*features, self.last(features[-1])]


class MultiscaleDiscriminator(nn.Module):
    """(batch, in, H, W) in [-1, 1] -> for each scale, full resolution first, its feature maps.

    The last map of a scale is (batch, 1, h, w): one score, without sigmoid, for each patch.
    """

    def __init__(self, spec: MultiscaleSpec) -> None:
        super().__init__()
        self.spec = spec
        self.scales = nn.ModuleList(Scale(spec) for _ in range(spec.scales))

    def forward(self, x: Float[Tensor, "batch in height width"]) -> list[list[Tensor]]:
        features = []
        for scale in self.scales:
            features.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return features
