"""The U-Net generator of pix2pix, plain or with OMGD's residual blocks ("deep").

`levels` stride-2 convolutions down to a single position, as many transposed ones up again; on the way up each level
joins what the way down had there. 4x4 kernels throughout.

Source: Isola et al., CVPR 2017; OMGD, ICCV 2021 (the deep form and the taps).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.networks.expansion import ExpansionBlock, expansion_groups
from pocketgan.networks.layers import Channels, ConvLayer
from pocketgan.networks.spec import (
    Forms,
    Generator,
    Genome,
    Group,
    NetworkSpec,
    Norm,
    Spaces,
    Tap,
    ignore,
    write_numbers,
)

Part = Literal["down", "up"]


class UnetSpec(NetworkSpec):
    """A U-Net generator; level k has 1 / 2**k of the side and 1, 2, 4, 8, 8, 8 ... times the base width.

    `widths`: one a level on the way down, one a level but the last on the way up, each followed by the inner widths
    of its `residuals` blocks, if any. The usual short list has one number a level, for all that is there.
    `dropout` is for the middle levels on the way up, 4 to `levels` - 2. `separable`: the ways whose convolutions
    are decomposed, but for those at the image and at the bottom, where one pixel is left. `biased`: also beside a
    batch norm, convolutions have biases, as where instance norms keep statistics. `spaces`: ours, of eight levels;
    no paper has searched a U-Net.
    """

    title = "U-Net"
    forms: ClassVar[Forms] = {"unet": {}, "deep-unet": {"residuals": 2}}
    spaces: ClassVar[Spaces] = {
        "unet-16": ((16, 12, 8),) * 8,
        "unet-64": ((64, 48, 32, 24, 16),) * 8,
    }

    kind: Literal["unet"] = "unet"
    levels: int = Field(default=8, ge=5)
    residuals: NonNegativeInt = 0
    norm: Norm = "batch"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    separable: tuple[Part, ...] = ()
    biased: bool = False

    @property
    def stride(self) -> int:
        return 2**self.levels

    @property
    def smallest_side(self) -> int:
        return 2**self.levels

    @property
    def plan(self) -> tuple[Group, ...]:
        groups: list[Group] = []

        def add(name: str, level: int, *, deep: bool, parts: int = 1) -> None:
            factor = min(2 ** (level - 1), 8)
            if parts == 1:
                groups.append(Group(name, factor, level - 1))
            for i in range(self.residuals if deep else 0):
                groups.extend(expansion_groups(f"{name}.{i}", parts * factor, level - 1))

        for level in range(1, self.levels + 1):
            add(f"down{level}", level, deep=level < self.levels)
        for level in range(self.levels - 1, 0, -1):
            add(f"up{level}", level, deep=level < self.levels - 1)
        add("join1", 1, deep=True, parts=2)
        return tuple(groups)

    @classmethod
    def read(cls, numbers: Genome, **fields: Any) -> UnetSpec:
        """A list has one number a level, which says how many levels there are; eight where there is no list."""
        if len(numbers) == 1:
            return cls.uniform(*numbers, **fields)
        if len(numbers) < 5:
            raise SpecError(
                f"{write_numbers(numbers)} has {len(numbers)} widths; a unet takes one a level, of 5 levels or more"
            )
        return cls.of(numbers, levels=len(numbers), **fields)

    @property
    def taps(self) -> tuple[str, ...]:
        """Two on the way down and two joins on the way up: where OMGD compares features."""
        return ("down2", "down4", "join4", "join2")

    def tap_channels(self, tap: str) -> int:
        channels, levels = self.channels, range(1, self.levels)
        known = {f"down{k}": channels[f"down{k}"] for k in levels}
        known |= {f"join{k}": channels[f"down{k}"] + channels[f"up{k}"] for k in levels}
        if tap not in known:
            last = self.levels - 1
            raise SpecError(
                f"no tap '{tap}' in a unet of {self.levels} levels; "
                f"it has down1 ... down{last} and join1 ... join{last}"
            )
        return known[tap]

    @property
    def with_fixed_norms(self) -> UnetSpec | None:
        # inside decomposed convolutions there is an instance norm always
        return None if self.separable else self.model_copy(update={"norm": "batch"})

    def build(self) -> UnetGenerator:
        return UnetGenerator(self)


class UnetLayer(nn.Module):
    """A convolution that halves or doubles the side, and its residual blocks."""

    def __init__(
        self, spec: UnetSpec, into: Channels, name: str, *, dropout: float = 0.0, residuals: int, **conv: Any
    ) -> None:
        super().__init__()
        out = spec.channels[name]
        self.layer = ConvLayer(into, out, 4, stride=2, pad=1, bias=spec.biased or spec.norm != "batch", **conv)
        self.blocks = blocks(spec, name, out, residuals)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch out rows columns"]:
        return self.dropout(self.blocks(self.layer(x)))


def blocks(spec: UnetSpec, name: str, stream: Channels, count: int) -> nn.Sequential:
    """The residual blocks on a stream."""
    channels = spec.channels
    return nn.Sequential(*(ExpansionBlock(f"{name}.{i}", stream, channels, spec.norm) for i in range(count)))


class UnetGenerator(Generator):
    """Images (batch, in, H, W) in [-1, 1] -> images (batch, out, H, W) in [-1, 1]; H and W multiples of 2**levels.

    Taps: `down1` ... after the activation, `join1` ... after that of the concatenation.
    """

    spec: UnetSpec

    def __init__(self, spec: UnetSpec) -> None:
        super().__init__()
        self.spec = spec
        channels, levels, residuals = spec.channels, spec.levels, spec.residuals
        joined: dict[int, Channels] = {k: (channels[f"down{k}"], channels[f"up{k}"]) for k in range(1, levels)}
        joined[levels] = channels[f"down{levels}"]

        self.down = nn.ModuleList(
            UnetLayer(
                spec,
                channels[f"down{level - 1}"] if level > 1 else spec.in_channels,
                f"down{level}",
                norm=None if level in (1, levels) else spec.norm,
                separable="down" in spec.separable and 1 < level < levels,
                residuals=residuals if level < levels else 0,
            )
            for level in range(1, levels + 1)
        )
        self.up = nn.ModuleList(
            UnetLayer(
                spec,
                joined[level + 1],
                f"up{level}",
                norm=spec.norm,
                transposed=True,
                separable="up" in spec.separable,
                residuals=residuals if level < levels - 1 else 0,
                dropout=spec.dropout if 4 <= level < levels - 1 else 0.0,
            )
            for level in range(levels - 1, 0, -1)
        )
        self.join = blocks(spec, "join1", joined[1], residuals)
        self.head = ConvLayer(joined[1], spec.out_channels, 4, stride=2, pad=1, transposed=True, activation="tanh")

    def forward(self, x: Float[Tensor, "batch in height width"], tap: Tap = ignore) -> Tensor:
        skips = []
        for level, layer in enumerate(self.down[:-1], 1):
            x = tap(f"down{level}", F.leaky_relu(layer(x), 0.2))
            skips.append(x)
        x = F.relu(self.down[-1](x))
        for level, layer in zip(range(len(skips), 0, -1), self.up, strict=True):
            # what is joined has gone through the leaky ReLU, which the blocks of the deep network see
            x = torch.cat([skips[level - 1], layer(x)], dim=1)
            if level == 1:
                x = self.join(x)
            x = tap(f"join{level}", F.relu(x))
        return self.head(x)
