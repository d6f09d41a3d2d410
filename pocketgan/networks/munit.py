"""The generator of MUNIT: an image is a content and a style; another style gives another image.

A content encoder, a style encoder, and a decoder whose residual blocks are normalised as the style says. Dense or
decomposed ("mobile"), large or small, it is this one class.

Source: Huang et al., ECCV 2018; Fast GAN Compression (the decomposed form and its width list).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.networks.adain import StyledBlock, StyleReader, UpLayer
from pocketgan.networks.init import init_kaiming
from pocketgan.networks.layers import ConvLayer
from pocketgan.networks.spec import Forms, Generator, Group, NetworkSpec, Spaces, Tap, ignore

Part = Literal["residual", "up"]

#: channels of the style encoder's layers, by base width
STYLE_FACTORS = (1, 2, 4, 4, 4)


class MunitSpec(NetworkSpec):
    """A MUNIT generator.

    `widths`: the five layers of the style encoder, then stem, down, stream, one inner width per residual block of
    the content encoder and one per block of the decoder, and the two upsampling layers; the real channels are
    1, 2, 4, 4, 4; 1, 2, 4; 4 ...; 2 and 1 times these. The usual short list has ten numbers: the style encoder is
    one, the blocks of encoder and of decoder are tied in two runs each.

    Without its style encoder a network takes a style, and for want of one the mean of the prior, zero.
    """

    title = "MUNIT"
    law = staticmethod(init_kaiming)
    forms: ClassVar[Forms] = {"munit": {}, "mobile-munit": {"separable": ("residual", "up")}}
    spaces: ClassVar[Spaces] = {"channels-64": ((64, 56, 48, 40, 32, 24, 16),) * 10}
    games: ClassVar[tuple[str, ...]] = ("munit",)
    stride: ClassVar[int] = 4
    smallest_side: ClassVar[int] = 16

    kind: Literal["munit"] = "munit"
    blocks: PositiveInt = 4
    separable: tuple[Part, ...] = ()
    style_channels: PositiveInt = 8
    mlp_width: PositiveInt = 256
    style_encoder: bool = True

    @property
    def plan(self) -> tuple[Group, ...]:
        style = (Group(f"style{i}", factor, 0) for i, factor in enumerate(STYLE_FACTORS))
        inner = (
            Group(f"{part}{i}", 4, number + 2 * i // self.blocks)
            for part, number in (("content", 4), ("decoder", 6))
            for i in range(self.blocks)
        )
        ends = Group("up", 2, 8), Group("last", 1, 9)
        return (*style, Group("stem", 1, 1), Group("down", 2, 2), Group("stream", 4, 3), *inner, *ends)

    @property
    def taps(self) -> tuple[str, ...]:
        """The content code: where the papers compare features."""
        return ("content",)

    def tap_channels(self, tap: str) -> int:
        channels = {"content": self.channels["stream"], "style": self.style_channels}
        if tap not in channels:
            raise SpecError(f"no tap '{tap}' in a munit; it has {', '.join(channels)}")
        return channels[tap]

    def build(self) -> MunitGenerator:
        return MunitGenerator(self)


class StyleEncoder(nn.Module):
    """Images -> style codes (batch, style_channels, 1, 1); no norm, since the statistics are the style."""

    def __init__(self, spec: MunitSpec) -> None:
        super().__init__()
        channels = list(spec.channels.values())[: len(STYLE_FACTORS)]
        conv: dict[str, Any] = dict(padding="reflect", activation="relu")
        self.layers = nn.ModuleList(
            [
                ConvLayer(spec.in_channels, channels[0], 7, pad=3, **conv),
                *(ConvLayer(channels[i], channels[i + 1], 4, stride=2, pad=1, **conv) for i in range(4)),
            ]
        )
        self.head = nn.Conv2d(channels[-1], spec.style_channels, 1)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch style 1 1"]:
        for layer in self.layers:
            x = layer(x)
        return self.head(F.adaptive_avg_pool2d(x, 1))


class ContentBlock(nn.Module):
    """x + f(x), f two 3x3 convolutions with an instance norm each; no activation after the sum."""

    def __init__(self, stream: int, inner: int, *, separable: bool) -> None:
        super().__init__()
        conv: dict[str, Any] = dict(pad=1, padding="reflect", norm="instance", separable=separable)
        self.first = ConvLayer(stream, inner, 3, activation="relu", **conv)
        self.second = ConvLayer(inner, stream, 3, **conv)

    def forward(self, x: Float[Tensor, "batch stream height width"]) -> Float[Tensor, "batch stream height width"]:
        return x + self.second(self.first(x))


class ContentEncoder(nn.Module):
    """Images -> content codes (batch, 4 * stream, H/4, W/4)."""

    def __init__(self, spec: MunitSpec) -> None:
        super().__init__()
        channels = spec.channels
        stem, down, stream = channels["stem"], channels["down"], channels["stream"]
        conv: dict[str, Any] = dict(padding="reflect", norm="instance", activation="relu")
        self.stem = ConvLayer(spec.in_channels, stem, 7, pad=3, **conv)
        self.down = nn.ModuleList(
            [
                ConvLayer(stem, down, 4, stride=2, pad=1, **conv),
                ConvLayer(down, stream, 4, stride=2, pad=1, **conv),
            ]
        )
        separable = "residual" in spec.separable
        self.blocks = nn.ModuleList(
            ContentBlock(stream, channels[f"content{i}"], separable=separable) for i in range(spec.blocks)
        )

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Tensor:
        x = self.stem(x)
        for layer in (*self.down, *self.blocks):
            x = layer(x)
        return x


class Decoder(nn.Module):
    """Content codes and the numbers read from a style -> images in [-1, 1]."""

    def __init__(self, spec: MunitSpec) -> None:
        super().__init__()
        channels = spec.channels
        stream, up, last = channels["stream"], channels["up"], channels["last"]
        blocks = [
            StyledBlock(stream, channels[f"decoder{i}"], separable="residual" in spec.separable)
            for i in range(spec.blocks)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.up = nn.ModuleList(
            UpLayer(into, out, separable="up" in spec.separable) for into, out in ((stream, up), (up, last))
        )
        self.head = ConvLayer(last, spec.out_channels, 7, pad=3, padding="reflect", activation="tanh")
        #: how many numbers of a style each adaptive norm takes: shift, scale, shift, scale ...
        self.sizes = tuple(size for block in blocks for size in block.sizes)

    def forward(self, x: Float[Tensor, "batch stream height width"], numbers: tuple[Tensor, ...]) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x, *numbers[4 * i : 4 * i + 4])
        for layer in self.up:
            x = layer(x)
        return self.head(x)


class MunitGenerator(Generator):
    """Images (batch, in, H, W) in [-1, 1] -> images (batch, out, H, W) in [-1, 1]; H and W multiples of 4.

    `forward` gives the image the style that is handed in, or else its own (a reconstruction); taps are `content`
    and `style`, the two codes. A translator from A to B has the content encoder of A, all else of B: `assemble`.
    """

    spec: MunitSpec

    def __init__(self, spec: MunitSpec) -> None:
        super().__init__()
        self.spec = spec
        self.style_encoder = StyleEncoder(spec) if spec.style_encoder else None
        self.content_encoder = ContentEncoder(spec)
        self.decoder = Decoder(spec)
        self.mlp = StyleReader(spec.style_channels, spec.mlp_width, self.decoder.sizes)

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """A style for each image, from the standard normal prior."""
        return {"style": torch.randn(count, self.spec.style_channels, 1, 1, generator=generator)}

    def content(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch stream rows columns"]:
        """The content code, at a quarter of the side."""
        return self.content_encoder(x)

    def style(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch style 1 1"]:
        """The style code; zero, the mean of the prior, where there is no style encoder."""
        if self.style_encoder is None:
            return x.new_zeros(x.shape[0], self.spec.style_channels, 1, 1)
        return self.style_encoder(x)

    def decode(
        self, content: Float[Tensor, "batch stream rows columns"], style: Float[Tensor, "batch style 1 1"]
    ) -> Float[Tensor, "batch out height width"]:
        """The image of that content in that style."""
        return self.decoder(content, self.mlp(style))

    def forward(
        self,
        x: Float[Tensor, "batch in height width"],
        tap: Tap = ignore,
        style: Float[Tensor, "batch style 1 1"] | None = None,
    ) -> Float[Tensor, "batch out height width"]:
        content = tap("content", self.content(x))
        return self.decode(content, tap("style", self.style(x) if style is None else style))


def assemble(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of one network that translates, from those of two generators of one spec.

    The content encoder of the domain that images come from; style encoder and decoder of the domain they go to.
    """
    return {name: (source if name.startswith("content_encoder.") else target)[name] for name in target}
