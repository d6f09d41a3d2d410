"""OMGD's deep teacher among the ResNet generators: a mobile ResNet with twelve more convolutions a level.

Source: Ren et al., Online Multi-Granularity Distillation for GAN Compression, ICCV 2021, and its official code.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.networks.expansion import ExpansionBlock, expansion_groups
from pocketgan.networks.layers import ConvLayer
from pocketgan.networks.resnet import ResidualBlock, ResnetSpec
from pocketgan.networks.spec import Forms, Generator, Group, NetworkSpec, Norm, Tap, ignore

#: the residual blocks, of which so many stand in front of the expansion blocks in the middle
BLOCKS, BEFORE, MIDDLE = 9, 4, 2


class DeepResnetSpec(NetworkSpec):
    """A deep mobile ResNet of nine residual blocks.

    `widths`: see `groups`. The short list has eight numbers, as that of a ResNet; what is added goes with the
    number of its level.
    """

    title = "deep mobile ResNet"
    forms: ClassVar[Forms] = {"deep-resnet": {}}
    stride: ClassVar[int] = 4
    smallest_side: ClassVar[int] = 16

    kind: Literal["deep_resnet"] = "deep_resnet"
    norm: Norm = "instance"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @property
    def plan(self) -> tuple[Group, ...]:
        groups = [Group("stem", 1, 0)]

        def add(name: str, factor: int, number: int) -> None:
            groups.append(Group(f"{name}.first", factor, number))
            groups.extend(expansion_groups(f"{name}.block", factor, number))
            groups.append(Group(f"{name}.second", factor, number))

        add("down1", 2, 1)
        add("down2", 4, 2)
        for block in range(BLOCKS):
            groups.append(Group(f"inner{block}", 4, 3 + 3 * block // BLOCKS))
        for i in range(MIDDLE):
            groups.extend(expansion_groups(f"middle.{i}", 4, 2))
        add("up1", 2, 6)
        add("up2", 1, 7)
        return tuple(groups)

    @property
    def taps(self) -> tuple[str, ...]:
        """Those of a ResNet."""
        return ("down", "block3", "block6", "block9")

    def tap_channels(self, tap: str) -> int:
        if tap in {"down", *(f"block{number}" for number in range(1, BLOCKS + 1))}:
            return self.channels["down2.second"]
        raise SpecError(f"no tap '{tap}' in a deep resnet; it has down, block1 ... block{BLOCKS}")

    def build(self) -> DeepResnetGenerator:
        return DeepResnetGenerator(self)


class DeepLayer(nn.Module):
    """A convolution that changes the side, an expansion block, and a convolution that does not."""

    def __init__(self, spec: DeepResnetSpec, into: int, name: str, *, transposed: bool) -> None:
        super().__init__()
        channels = spec.channels
        first, second = channels[f"{name}.first"], channels[f"{name}.second"]
        conv: dict[str, Any] = dict(pad=1, norm=spec.norm, activation="relu")
        self.first = ConvLayer(into, first, 3, stride=2, transposed=transposed, **conv)
        self.block = ExpansionBlock(f"{name}.block", first, channels, spec.norm)
        self.second = ConvLayer(first, second, 3, **conv)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch out rows columns"]:
        return self.second(self.block(self.first(x)))


class DeepResnetGenerator(Generator):
    """Images (batch, in, H, W) in [-1, 1] -> images (batch, out, H, W) in [-1, 1]; H and W multiples of 4."""

    spec: DeepResnetSpec

    def __init__(self, spec: DeepResnetSpec) -> None:
        super().__init__()
        self.spec = spec
        channels = spec.channels
        stem, down, stream, up, last = (
            channels[name] for name in ("stem", "down1.second", "down2.second", "up1.second", "up2.second")
        )
        ends: dict[str, Any] = dict(pad=3, padding="reflect")
        like = ResnetSpec.uniform(1, separable=("residual",), norm=spec.norm, dropout=spec.dropout)

        self.stem = ConvLayer(spec.in_channels, stem, 7, norm=spec.norm, activation="relu", **ends)
        self.down = nn.ModuleList(
            [
                DeepLayer(spec, stem, "down1", transposed=False),
                DeepLayer(spec, down, "down2", transposed=False),
            ]
        )
        blocks = [ResidualBlock(like, stream, channels[f"inner{i}"]) for i in range(BLOCKS)]
        middle = [ExpansionBlock(f"middle.{i}", stream, channels, spec.norm) for i in range(MIDDLE)]
        self.body = nn.ModuleList([*blocks[:BEFORE], *middle, *blocks[BEFORE:]])
        self.up = nn.ModuleList(
            [
                DeepLayer(spec, stream, "up1", transposed=True),
                DeepLayer(spec, up, "up2", transposed=True),
            ]
        )
        self.head = ConvLayer(last, spec.out_channels, 7, activation="tanh", **ends)

    def forward(self, x: Float[Tensor, "batch in height width"], tap: Tap = ignore) -> Tensor:
        x = self.stem(x)
        for layer in self.down:
            x = layer(x)
        x = tap("down", x)
        number = 0
        for block in self.body:
            x = block(x)
            if isinstance(block, ResidualBlock):
                number += 1
                x = tap(f"block{number}", x)
        for layer in self.up:
            x = layer(x)
        return self.head(x)
