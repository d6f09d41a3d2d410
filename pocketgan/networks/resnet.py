"""The ResNet generator of CycleGAN and pix2pix, dense or decomposed ("mobile").

Stem 7x7, two stride-2 convolutions, residual blocks, two stride-2 transposed convolutions, head 7x7, tanh.
Large or small, the network is this one class at other widths.

Source: Johnson et al., ECCV 2016; CycleGAN, ICCV 2017; GAN Compression, CVPR 2020, section 3.2.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.networks.init import init_normal
from pocketgan.networks.layers import ConvLayer, Padding, make_activation
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


def init_resnet(network: ResnetGenerator, generator: torch.Generator) -> ResnetGenerator:
    """`init_normal`, but for `InputSkip`."""
    init_normal(network, generator)
    if network.spec.input_skip:
        network.input_skip.draw(generator)
    return network


class ResnetSpec(NetworkSpec):
    """A ResNet generator.

    `widths`: stem, down, stream, one inner width per residual block, up, last; the real channels are 1, 2, 4,
    4 ..., 2 and 1 times these. The usual short list has eight numbers: the blocks' inner widths are tied
    in three runs of equal length. `spaces`: those of a mobile ResNet in GAN Compression and Fast GAN Compression.
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
    #: left out of JSON where it is False, so that what was trained before there was a choice keeps its address
    input_skip: bool = Field(default=False, exclude_if=lambda skip: not skip)

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

    def build(self) -> ResnetGenerator:
        return ResnetGenerator(self)


class ResidualBlock(nn.Module):
    """x + f(x), f two convolutions (3x3 as published) with a norm each; no activation after the sum."""

    def __init__(self, spec: ResnetSpec, stream: int, inner: int) -> None:
        super().__init__()
        shared: dict[str, Any] = dict(
            pad=spec.kernel // 2, padding=spec.padding, norm=spec.norm, separable="residual" in spec.separable
        )
        self.first = ConvLayer(stream, inner, spec.kernel, activation="relu", **shared)
        self.dropout = nn.Dropout(spec.dropout)
        self.second = ConvLayer(inner, stream, spec.kernel, **shared)

    def forward(self, x: Float[Tensor, "batch stream height width"]) -> Tensor:
        return x + self.second(self.dropout(self.first(x)))


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
        conv: dict[str, Any] = dict(norm=spec.norm, activation="relu")

        self.stem = ConvLayer(spec.in_channels, stem, 7, pad=3, padding="reflect", **conv)
        separable = "down" in spec.separable
        self.down = nn.ModuleList(
            [
                ConvLayer(stem, down, 3, stride=2, pad=1, separable=separable, **conv),
                ConvLayer(down, stream, 3, stride=2, pad=1, separable=separable, **conv),
            ]
        )
        self.blocks = nn.ModuleList(ResidualBlock(spec, stream, channels) for channels in inner)
        separable = "up" in spec.separable
        self.up = nn.ModuleList(
            [
                ConvLayer(stream, up, 3, stride=2, pad=1, transposed=True, separable=separable, **conv),
                ConvLayer(up, last, 3, stride=2, pad=1, transposed=True, separable=separable, **conv),
            ]
        )
        self.head = ConvLayer(
            last, spec.out_channels, 7, pad=3, padding="reflect", activation="none" if spec.input_skip else "tanh"
        )
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
