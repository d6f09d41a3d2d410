"""Discriminators: networks that tell real images from made ones, patch by patch or pixel by pixel.

Source: Isola et al., CVPR 2017 (PatchGAN, PixelGAN); OMGD, ICCV 2021 (several heads).
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from pocketgan.networks.layers import ConvLayer
from pocketgan.networks.spec import Norm, ScoreSpec, Spec, Tap, ignore


class PatchSpec(ScoreSpec):
    """A PatchGAN of `layers` stride-2 convolutions; `in_channels` counts condition and image together."""

    title = "PatchGAN"

    kind: Literal["patch"] = "patch"
    in_channels: PositiveInt = 6
    width: PositiveInt = 64
    layers: PositiveInt = 3
    norm: Norm = "instance"

    @property
    def smallest_side(self) -> int:
        """The smallest image side that leaves a patch to score."""
        return 3 * 2**self.layers

    @property
    def taps(self) -> tuple[str, ...]:
        """The names of the activations before the scores."""
        return tuple(f"layer{number}" for number in range(self.layers + 1))

    def build(self) -> PatchDiscriminator:
        return PatchDiscriminator(self)


def patch_layers(spec: PatchSpec | SharedPatchSpec) -> list[ConvLayer]:
    """The `layers` + 2 convolutions of a PatchGAN."""
    channels = [spec.in_channels, *(spec.width * min(2**k, 8) for k in range(spec.layers + 1))]
    return [
        *(
            ConvLayer(
                channels[k],
                channels[k + 1],
                4,
                stride=2 if k < spec.layers else 1,
                pad=1,
                norm=spec.norm if k else None,
                activation="leaky",
            )
            for k in range(spec.layers + 1)
        ),
        ConvLayer(channels[-1], 1, 4, pad=1),
    ]


class PatchDiscriminator(nn.Module):
    """(batch, in, H, W) in [-1, 1] -> (batch, 1, h, w): one score, without sigmoid, for each patch.

    Taps: `layer0`, `layer1`, ..., the activations of all convolutions but the last.
    """

    def __init__(self, spec: PatchSpec) -> None:
        super().__init__()
        self.spec = spec
        self.layers = nn.Sequential(*patch_layers(spec))

    def forward(
        self, x: Float[Tensor, "batch in height width"], tap: Tap = ignore
    ) -> Float[Tensor, "batch 1 rows columns"]:
        *before, last = self.layers
        for number, layer in enumerate(before):
            x = tap(f"layer{number}", layer(x))
        return last(x)


class SharedPatchSpec(Spec):
    """A PatchGAN for several generators, with a head for each: the first `shared` of its `layers` + 2 convolutions
    are common to all, of the others each head has its own."""

    title = "shared PatchGAN"

    kind: Literal["shared_patch"] = "shared_patch"
    in_channels: PositiveInt = 6
    width: PositiveInt = 64
    layers: PositiveInt = 3
    norm: Norm = "instance"
    heads: PositiveInt = 2
    shared: NonNegativeInt = 5

    @model_validator(mode="after")
    def _fits(self) -> SharedPatchSpec:
        if self.shared > self.layers + 2:
            raise ValueError(f"{self.shared} convolutions cannot be shared where there are {self.layers + 2}")
        return self

    @property
    def smallest_side(self) -> int:
        """The smallest image side that leaves a patch to score."""
        return 3 * 2**self.layers

    def build(self) -> SharedPatchDiscriminator:
        return SharedPatchDiscriminator(self)


class SharedPatchDiscriminator(nn.Module):
    """(batch, in, H, W) in [-1, 1], a head -> (batch, 1, h, w): its scores, without sigmoid, for each patch."""

    def __init__(self, spec: SharedPatchSpec) -> None:
        super().__init__()
        self.spec = spec
        copies = zip(*(patch_layers(spec) for _ in range(spec.heads)), strict=True)
        self.layers = nn.ModuleList(
            nn.ModuleList(layers[:1] if k < spec.shared else layers) for k, layers in enumerate(copies)
        )

    def forward(self, x: Float[Tensor, "batch in height width"], head: int) -> Float[Tensor, "batch 1 h w"]:
        for k, copies in enumerate(self.layers):
            x = list(copies.children())[0 if k < self.spec.shared else head](x)
        return x


class PixelSpec(ScoreSpec):
    """A discriminator of single pixels: three 1x1 convolutions."""

    title = "PixelGAN"

    kind: Literal["pixel"] = "pixel"
    in_channels: PositiveInt = 6
    width: PositiveInt = 64
    norm: Norm = "instance"

    @property
    def smallest_side(self) -> int:
        """The smallest image side that the norms can take."""
        return 2

    def build(self) -> PixelDiscriminator:
        return PixelDiscriminator(self)


class PixelDiscriminator(nn.Module):
    """(batch, in, H, W) in [-1, 1] -> (batch, 1, H, W): one score, without sigmoid, for each pixel."""

    def __init__(self, spec: PixelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.layers = nn.Sequential(
            ConvLayer(spec.in_channels, spec.width, 1, activation="leaky"),
            ConvLayer(spec.width, 2 * spec.width, 1, norm=spec.norm, activation="leaky"),
            ConvLayer(2 * spec.width, 1, 1, bias=spec.norm != "batch"),
        )

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch 1 height width"]:
        return self.layers(x)
