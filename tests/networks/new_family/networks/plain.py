"""A family that PocketGAN does not have: three convolutions. This file is all that a new family needs."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from pocketgan.networks.init import init_kaiming
from pocketgan.networks.layers import ConvLayer
from pocketgan.networks.spec import Forms, Generator, Group, NetworkSpec, Spaces, Tap, ignore


class PlainSpec(NetworkSpec):
    """`widths`: outer, inner; the real channels are 1 and 2 times these."""

    title = "plain network"
    law = staticmethod(init_kaiming)
    forms: ClassVar[Forms] = {"plain": {}, "mobile-plain": {"separable": True}}
    spaces: ClassVar[Spaces] = {"plain-8": ((8, 4), (8, 6, 2))}
    stride: ClassVar[int] = 1
    smallest_side: ClassVar[int] = 4
    taps: ClassVar[tuple[str, ...]] = ("inner",)

    kind: Literal["plain"] = "plain"
    separable: bool = False

    @property
    def plan(self) -> tuple[Group, ...]:
        return (Group("outer", 1, 0), Group("inner", 2, 1))

    def tap_channels(self, tap: str) -> int:
        return self.channels[tap]

    def build(self) -> PlainGenerator:
        return PlainGenerator(self)


class PlainGenerator(Generator):
    spec: PlainSpec

    def __init__(self, spec: PlainSpec) -> None:
        super().__init__()
        self.spec = spec
        outer, inner = spec.channels.values()
        self.first = ConvLayer(spec.in_channels, outer, 3, pad=1, activation="relu")
        self.inner = ConvLayer(outer, inner, 3, pad=1, norm="instance", separable=spec.separable)
        self.last = nn.Conv2d(inner, spec.out_channels, 1)

    def forward(self, x: Tensor, tap: Tap = ignore) -> Tensor:
        return self.last(tap("inner", self.inner(self.first(x)))).tanh()
