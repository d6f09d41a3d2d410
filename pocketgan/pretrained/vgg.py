"""VGG16 and VGG19, the convolutions: activations for perceptual losses and metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.download import Progress
from pocketgan.errors import unknown
from pocketgan.pretrained.weights import Source, find_weights, load_frozen

Depth = Literal[16, 19]

_LICENCE = "BSD-3-Clause (torchvision), trained on ImageNet"
SOURCES: dict[Depth, Source] = {
    16: Source(
        name="vgg16",
        file="vgg16-397923af.pth",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        size=553_433_881,
        licence=_LICENCE,
    ),
    19: Source(
        name="vgg19",
        file="vgg19-dcbb9e9d.pth",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        size=574_673_361,
        licence=_LICENCE,
    ),
}

#: convolutions in each stage (configurations D and E of the paper's table 1), and their channels
_CONVOLUTIONS: dict[Depth, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)

# torchvision, GauGAN's VGG19 and OMGD's Vgg16: all count the layers as torchvision's `features` does.
_NAMES = re.compile(r"(?:features|slice\d|vgg\.to_relu_\d_\d)\.(\d+\.(?:weight|bias))")


class Vgg(nn.Module):
    """VGG up to the deepest tap, without batch normalisation: images in, activations by tap out.

    A tap `relu3_1` is what the first convolution of the third stage gives, rectified; its side is a quarter of the
    image's. How images are normalised is the caller's choice: the losses and metrics differ in it.

    Source: Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
    """

    def __init__(
        self,
        depth: Depth,
        taps: Sequence[str],
        *,
        widths: Sequence[int] = _WIDTHS,
        pool: nn.Module | None = None,
    ) -> None:
        """widths: channels of each stage. pool: what stands between stages, 2x2 maxima by default.

        Raises `SpecError` for an unknown tap.
        """
        super().__init__()
        layers: list[nn.Module] = []
        places: dict[str, int] = {}
        channels = 3
        for stage, (count, width) in enumerate(zip(_CONVOLUTIONS[depth], widths, strict=False), 1):
            for number in range(1, count + 1):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                places[f"relu{stage}_{number}"] = len(layers) - 1
                channels = width
            layers.append(pool or nn.MaxPool2d(2))
        for tap in taps:
            if tap not in places:
                raise unknown(f"tap of VGG{depth}", tap, places)
        self.taps = {places[tap]: tap for tap in taps}
        self.layers = nn.Sequential(*layers[: max(self.taps) + 1])

    @classmethod
    def load(
        cls,
        depth: Depth,
        taps: Sequence[str],
        weights: Path | None = None,
        *,
        widths: Sequence[int] = _WIDTHS,
        pool: nn.Module | None = None,
        progress: Progress | None = None,
    ) -> Vgg:
        """The network trained on ImageNet, in float32, in eval mode, frozen; weights as `find_weights` finds them.

        Understands the names of torchvision, of GauGAN's VGG19 (`slice1.0.weight`) and of OMGD's Vgg16.
        """
        path = find_weights(SOURCES[depth], weights, progress)
        return load_frozen(cls(depth, taps, widths=widths, pool=pool), path, _own_name)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """The activations at the taps, the shallowest first."""
        found = {}
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                found[self.taps[index]] = x
        return found


def _own_name(name: str) -> str:
    return _NAMES.sub(r"layers.\1", name)
