"""What every network specification has in common.

A spec is a frozen value that says all about a network but its weights; `build()` makes the network. The
widths of a spec are *base channels*, one number per width group (a set of layers that share one width);
the network multiplies them by its own fixed factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from pocketgan.errors import SpecError

Widths = tuple[int, ...]
Genome = tuple[int, ...]
#: called with the name and the value of an intermediate activation; returns the value to go on with
Tap = Callable[[str, Tensor], Tensor]
Norm = Literal["instance", "batch"]
Spec = TypeVar("Spec", bound="NetworkSpec")


def ignore(name: str, x: Tensor) -> Tensor:
    """The tap that does nothing."""
    return x


def read_numbers(text: str) -> Genome:
    """'32_32_48' -> (32, 32, 48)."""
    parts = text.split("_")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise SpecError(
            f"widths '{text}' cannot be read; write positive whole numbers joined by '_', "
            "e.g. 32_32_48_32_48_48_16_16"
        )
    return tuple(int(part) for part in parts)


def write_numbers(numbers: Genome) -> str:
    """(32, 32, 48) -> '32_32_48'."""
    return "_".join(str(number) for number in numbers)


class Generator(nn.Module):
    """Base of all generators: knows its spec; `forward(x, tap)` maps images to images in [-1, 1]."""

    spec: NetworkSpec

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """What `forward` takes by name beside `count` images, drawn from its prior: nothing, for most networks."""
        return {}


class NetworkSpec(BaseModel):
    """Base of the specs of all generator families."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    in_channels: int = 3
    out_channels: int = 3
    widths: Widths

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this; a class variable where it is the same for all the family."""
        raise NotImplementedError

    @property
    def smallest_side(self) -> int:
        """The smallest image side that the network can take; a class variable where it is the same for all."""
        raise NotImplementedError

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the width groups, in the order of `widths`."""
        raise NotImplementedError

    @property
    def ties(self) -> tuple[tuple[int, ...], ...]:
        """For each number of the family's usual short width list: the positions in `widths` that it sets."""
        raise NotImplementedError

    @property
    def taps(self) -> tuple[str, ...]:
        """The taps that distillation compares by default."""
        raise NotImplementedError

    def tap_channels(self, tap: str) -> int:
        """Channels of the activation at a tap."""
        raise NotImplementedError

    def build(self) -> Generator:
        """A new network with PyTorch's own initialisation; see `networks.init` for the papers' one."""
        raise NotImplementedError

    @property
    def folded(self: Spec) -> Spec:
        """The network as an artifact keeps it: what helps training alone is folded into the weights."""
        return self

    @property
    def mobile(self: Spec) -> Spec:
        """The form that the papers give a student: folded, its tolerant convolutions decomposed."""
        return self.folded

    def resized(self: Spec, widths: Widths) -> Spec:
        """The same network at other widths."""
        return type(self).model_validate({**self.model_dump(), "widths": tuple(widths)})

    def spread(self, genome: Genome) -> Widths:
        """The widths that a short list stands for."""
        if len(genome) != len(self.ties):
            raise SpecError(
                f"{write_numbers(genome)} has {len(genome)} widths; {self.kind} networks take {len(self.ties)}"
            )
        widths = list(self.widths)
        for number, positions in zip(genome, self.ties, strict=True):
            for position in positions:
                widths[position] = number
        return tuple(widths)

    @property
    def genome(self) -> Genome:
        """The short width list, or `widths` itself where tied groups differ."""
        short = tuple(self.widths[positions[0]] for positions in self.ties)
        return short if self.spread(short) == self.widths else self.widths

    def check_size(self, *sides: int) -> None:
        """Raise `SpecError` unless the network can take images of these sides."""
        for side in sides:
            if side % self.stride or side < self.smallest_side:
                low = max(self.smallest_side, side - side % self.stride)
                raise SpecError(
                    f"size {side} does not fit a {self.kind} generator, which takes multiples of {self.stride} "
                    f"from {self.smallest_side} on; use {low} or {low + self.stride}"
                )
