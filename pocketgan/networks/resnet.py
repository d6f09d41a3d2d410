"""The ResNet generator of CycleGAN and pix2pix, dense or decomposed ("mobile").

Stem 7x7, two stride-2 convolutions, residual blocks, two stride-2 transposed convolutions, head 7x7, tanh.
Large or small, the network is this one class at other widths. The sides of the kernels and the way of upsampling
may be others than those published.

Source: Johnson et al., ECCV 2016; CycleGAN, ICCV 2017; GAN Compression, CVPR 2020, section 3.2.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.networks.init import init_normal
from pocketgan.networks.layers import ConvLayer, Padding, make_activation, make_norm
from pocketgan.networks.spec import (
    Forms,
    Generator,
    Genome,
    Group,
    NetworkSpec,
    Norm,
    Spaces,
    Tap,
    Widths,
    ignore,
)

Part = Literal["down", "residual", "up"]
Up = Literal["transposed", "resize", "shuffle"]


def init_resnet(network: ResnetGenerator, generator: torch.Generator) -> ResnetGenerator:
    """`init_normal`, but for `InputSkip` and what pixel shuffles arrange."""
    init_normal(network, generator)
    for layer in network.up:
        if isinstance(layer, UpLayer):
            layer.start_even()
    if network.spec.input_skip:
        network.input_skip.draw(generator)
    return network


class ResnetSpec(NetworkSpec):
    """A ResNet generator.

    `widths`: stem, down, stream, one inner width per residual block, up, last; the real channels are 1, 2, 4,
    4 ..., 2 and 1 times these. The usual short list has eight numbers: the blocks' inner widths are tied
    in three runs of equal length. `spaces`: those of a mobile ResNet in GAN Compression and Fast GAN Compression.
    `separable_norm`: the norm inside decomposed convolutions, whatever that of the network is.
    `ends`: the side of the kernels of stem and head. `up`: how sides are doubled: by a transposed convolution as
    published, or by an `UpLayer`.
    `input_skip`: the image itself enters the output too, see `InputSkip`.
    """

    title = "ResNet"
    forms: ClassVar[Forms] = {"resnet": {}, "mobile-resnet": {"separable": ("residual",)}}
    spaces: ClassVar[Spaces] = {
        "channels-48": ((48, 32),) * 2 + ((48, 40, 32),) * 4 + ((48, 32, 24, 16),) * 2,
        "channels-32": ((32, 24, 16),) * 8,
        "channels-64-cycleGAN": ((64, 48, 32, 24, 16),) * 8,
        "channels-64-pix2pix": ((64, 56, 48, 40, 32, 24, 16),) * 8,
        "test": ((8,), (8, 6), (8, 6), (8,), (8,), (8,), (8,), (8,)),
    }
    stride: ClassVar[int] = 4
    smallest_side: ClassVar[int] = 16
    law = staticmethod(init_resnet)

    kind: Literal["resnet"] = "resnet"
    blocks: NonNegativeInt = 9
    kernel: Literal[3, 5, 7] = 3
    separable: tuple[Part, ...] = ()
    norm: Norm = "instance"
    padding: Padding = "reflect"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    clamp_input: bool = False
    # these are left out of JSON at their defaults, so that what was trained before there was a choice keeps its
    # address
    input_skip: bool = Field(default=False, exclude_if=lambda skip: not skip)
    ends: Literal[3, 5, 7] = Field(default=7, exclude_if=lambda ends: ends == 7)
    up: Up = Field(default="transposed", exclude_if=lambda up: up == "transposed")
    separable_norm: Norm = Field(default="instance", exclude_if=lambda norm: norm == "instance")

    @property
    def plan(self) -> tuple[Group, ...]:
        inner = (Group(f"inner{i}", 4, 3 + 3 * i // self.blocks) for i in range(self.blocks))
        ends = Group("up", 2, 6), Group("last", 1, 7)
        return (Group("stem", 1, 0), Group("down", 2, 1), Group("stream", 4, 2), *inner, *ends)

    @classmethod
    def of(cls, numbers: Genome | str, *, legacy: bool = False, **fields: Any) -> ResnetSpec:
        """From a published width list: eight numbers, or six (one inner width for all blocks).

        `legacy`: only the first block of each run takes the inner width, the others that of the stream
        (the form of the papers' first released models).
        """
        spec = super().of(numbers, **fields)
        if not legacy:
            return spec
        firsts = {run[0] for run in spec.ties}
        return spec.resized(tuple(own if i in firsts else spec.widths[2] for i, own in enumerate(spec.widths)))

    def spread(self, genome: Genome) -> Widths:
        if len(genome) == 6 <= len(self.ties):
            genome = (*genome[:3], *(genome[3],) * (len(self.ties) - 5), *genome[4:])
        return super().spread(genome)

    @property
    def taps(self) -> tuple[str, ...]:
        """After downsampling and after each third of the blocks: where the papers compare features."""
        thirds = [self.blocks * third // 3 for third in (1, 2, 3)]
        return ("down", *dict.fromkeys(f"block{block}" for block in thirds if block))

    def tap_channels(self, tap: str) -> int:
        if tap in {"down", *(f"block{number}" for number in range(1, self.blocks + 1))}:
            return self.channels["stream"]
        raise SpecError(
            f"no tap '{tap}' in a resnet of {self.blocks} blocks; it has down, block1 ... block{self.blocks}"
        )

    @property
    def with_fixed_norms(self) -> ResnetSpec:
        inner = {"separable_norm": "batch"} if self.separable else {}
        return self.model_copy(update={"norm": "batch", **inner})

    def build(self) -> ResnetGenerator:
        return ResnetGenerator(self)


class ResidualBlock(nn.Module):
    """x + f(x), f two convolutions (3x3 as published) with a norm each; no activation after the sum."""

    def __init__(self, spec: ResnetSpec, stream: int, inner: int) -> None:
        super().__init__()
        shared: dict[str, Any] = dict(
            pad=spec.kernel // 2,
            padding=spec.padding,
            norm=spec.norm,
            separable="residual" in spec.separable,
            separable_norm=spec.separable_norm,
        )
        self.first = ConvLayer(stream, inner, spec.kernel, activation="relu", **shared)
        self.dropout = nn.Dropout(spec.dropout)
        self.second = ConvLayer(inner, stream, spec.kernel, **shared)

    def forward(self, x: Float[Tensor, "batch stream height width"]) -> Tensor:
        return x + self.second(self.dropout(self.first(x)))


class UpLayer(ConvLayer):
    """Doubles the sides: each pixel becomes four and a 3x3 convolution follows ("resize"), or a 3x3 convolution
    makes the four pixels of each channel and arranges them ("shuffle").

    A channel's four pixels lie side by side among those of the convolution, so that leading channels stay leading.
    Either costs four times the true MACs of a transposed convolution, and as many by the papers' convention.

    Source: Odena et al., Distill 2016 (resize); Shi et al., CVPR 2016 (shuffle).
    """

    def __init__(
        self, in_channels: int, out_channels: int, up: Up, *, norm: Norm, separable: bool, **conv: Any
    ) -> None:
        made = 4 * out_channels if up == "shuffle" else out_channels
        super().__init__(in_channels, made, 3, pad=1, separable=separable, bias=norm != "batch", **conv)
        self.norm = make_norm(norm, out_channels)
        self.shuffle = up == "shuffle"

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch out rows columns"]:
        if self.shuffle:
            x = F.pixel_shuffle(self.conv(x), 2)
        else:
            x = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.activation(self.norm(x))

    @torch.no_grad()
    def start_even(self) -> None:
        """Where pixels are shuffled, the first weights of four neighbours are the same: the picture starts smooth,
        where independent ones would start it with a checkerboard.

        Source: Aitken et al., Checkerboard artifact free sub-pixel convolution, 2017.
        """
        if self.shuffle:
            last: Any = getattr(self.conv, "pointwise", self.conv)
            last.weight.copy_(last.weight[::4].repeat_interleave(4, 0))


class InputSkip(nn.Module):
    """What each pixel's own colour adds to the output in front of tanh: 1x1 convolution, ReLU, 1x1 convolution.

    Instance norm removes the level of a flat area, so that without it two backgrounds that differ in their level
    alone come out alike. A single linear layer is too slow a learner here: it starts with what the whole range of
    the image has in common (benchmarks/README.md).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, 16, 1)
        self.relu = nn.ReLU()
        self.second = nn.Conv2d(16, out_channels, 1, bias=False)

    def forward(self, image: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch out height width"]:
        return self.second(self.relu(self.first(image)))

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """First weights and biases, evenly from -1 to 1 over the root of the inputs, so that the kinks of the ReLUs
        lie all over the image's range."""
        for layer in (self.first, self.second):
            bound = layer.in_channels**-0.5
            for parameter in layer.parameters():
                parameter.uniform_(-bound, bound, generator=generator)


class ResnetGenerator(Generator):
    """Images (batch, in, H, W) in [-1, 1] -> images (batch, out, H, W) in [-1, 1]; H and W multiples of 4."""

    spec: ResnetSpec

    def __init__(self, spec: ResnetSpec) -> None:
        super().__init__()
        self.spec = spec
        stem, down, stream, *inner, up, last = spec.channels.values()
        conv: dict[str, Any] = dict(norm=spec.norm, activation="relu", separable_norm=spec.separable_norm)

        ends: dict[str, Any] = dict(kernel=spec.ends, pad=spec.ends // 2, padding="reflect")
        self.stem = ConvLayer(spec.in_channels, stem, **ends, **conv)
        separable = "down" in spec.separable
        self.down = nn.ModuleList(
            [
                ConvLayer(stem, down, 3, stride=2, pad=1, separable=separable, **conv),
                ConvLayer(down, stream, 3, stride=2, pad=1, separable=separable, **conv),
            ]
        )
        self.blocks = nn.ModuleList(ResidualBlock(spec, stream, channels) for channels in inner)
        separable = "up" in spec.separable
        if spec.up == "transposed":
            doubling: Any = partial(ConvLayer, kernel=3, stride=2, pad=1, transposed=True)
        else:
            doubling = partial(UpLayer, up=spec.up)
        self.up = nn.ModuleList(
            [
                doubling(stream, up, separable=separable, **conv),
                doubling(up, last, separable=separable, **conv),
            ]
        )
        self.head = ConvLayer(last, spec.out_channels, **ends, activation="none" if spec.input_skip else "tanh")
        if spec.input_skip:
            self.input_skip = InputSkip(spec.in_channels, spec.out_channels)
            self.tanh = make_activation("tanh")

    def forward(self, x: Float[Tensor, "batch in height width"], tap: Tap = ignore) -> Tensor:
        if self.spec.clamp_input:
            x = x.clamp(-1, 1)
        image = x
        x = self.stem(x)
        for layer in self.down:
            x = layer(x)
        x = tap("down", x)
        for number, block in enumerate(self.blocks, 1):
            x = tap(f"block{number}", block(x))
        for layer in self.up:
            x = layer(x)
        x = self.head(x)
        return self.tanh(x + self.input_skip(image)) if self.spec.input_skip else x
