"""What every network specification has in common.

A spec is a frozen value that says all about a network but its weights; `build()` makes the network. What is known
of a whole family are members of its spec's class, so that a family is one file; `presets.py` finds it. The widths
of a spec are *base channels*, one number per width group (a set of layers that share one width); the network
multiplies them by its own fixed factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.units import Size

Widths = tuple[int, ...]
Genome = tuple[int, ...]
#: called with the name and the value of an intermediate activation; returns the value to go on with
Tap = Callable[[str, Tensor], Tensor]
Norm = Literal["instance", "batch"]
Forms = dict[str, dict[str, Any]]
Spaces = dict[str, tuple[tuple[int, ...], ...]]
Family = TypeVar("Family", bound="NetworkSpec")


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


class Law(Protocol):
    """Draws a network's weights, in place; see `init.py`."""

    def __call__(self, network: Any, generator: torch.Generator) -> Any: ...


class Group(NamedTuple):
    """A width group: its channels are `factor` times its width; `number` of the short width list sets it."""

    name: str
    factor: int
    number: int


class Spec(BaseModel):
    """Base of the specs of all networks.

    `title`: what a user reads. `law`: how the authors draw the first weights; `init_normal` where it is None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    law: ClassVar[Law | None] = None

    kind: str
    in_channels: int

    @property
    def smallest_side(self) -> int:
        """The smallest image side that the network can take; a class variable where it is the same for all."""
        raise NotImplementedError

    def build(self) -> nn.Module:
        """A new network with PyTorch's own initialisation; see `networks.init` for the papers' one."""
        raise NotImplementedError


class ScoreSpec(Spec):
    """Base of the specs of all discriminators of one generator: images in, scores out."""

    width: PositiveInt = 64


class NetworkSpec(Spec):
    """Base of the specs of all generator families.

    `widths`: one for each group of `plan`. `forms`: the words that may stand before the colon of a spec string,
    each with the fields that it sets; 'mobile-' and the kind is the form that the papers give a student. `spaces`:
    the choices of widths that were searched, by name: the options of each number of the short list. `games`: the
    GANs whose generator it can be, as `--model` names them. `whole`: a width counts units, and the channels of a
    unit stay together; else every channel is on its own, and a factor only says how many there are.
    """

    forms: ClassVar[Forms] = {}
    spaces: ClassVar[Spaces] = {}
    games: ClassVar[tuple[str, ...]] = ("pix2pix", "cyclegan")
    whole: ClassVar[bool] = False

    in_channels: int = 3
    out_channels: int = 3
    widths: Widths

    @property
    def plan(self) -> tuple[Group, ...]:
        """The width groups, in the order of `widths`; from the other fields alone."""
        raise NotImplementedError

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this; a class variable where it is the same for all the family."""
        raise NotImplementedError

    @property
    def taps(self) -> tuple[str, ...]:
        """The taps that distillation compares by default."""
        raise NotImplementedError

    def tap_channels(self, tap: str) -> int:
        """Channels of the activation at a tap."""
        raise NotImplementedError

    def build(self) -> Generator:
        raise NotImplementedError

    def example(
        self, count: int, size: Size, generator: torch.Generator
    ) -> Float[Tensor, "count channels height width"]:
        """Images that the network can see: uniform in [-1, 1]."""
        return torch.rand(count, self.in_channels, *size, generator=generator) * 2 - 1

    @property
    def folded(self: Family) -> Family:
        """The network as an artifact keeps it: what helps training alone is folded into the weights."""
        return self

    @property
    def with_fixed_norms(self: Family) -> Family | None:
        """The same network with norms of fixed statistics alone, which an export folds into the convolutions before
        them; None where the family has no such form."""
        return None

    @property
    def mobile(self: Family) -> Family:
        """The form that the papers give a student: folded, its tolerant convolutions decomposed."""
        return self.folded.model_copy(update=self.forms.get(f"mobile-{self.kind}"))

    @model_validator(mode="after")
    def _fits(self: Family) -> Family:
        if len(self.widths) != len(self.plan) or min(self.widths) < 1:
            raise ValueError(f"this {self.kind} has {len(self.plan)} positive widths, not {len(self.widths)}")
        return self

    @classmethod
    def uniform(cls: type[Family], width: int, **fields: Any) -> Family:
        """One base width everywhere."""
        return cls(widths=(width,) * len(cls.model_construct(widths=(), **fields).plan), **fields)

    @classmethod
    def of(cls: type[Family], numbers: Genome | str, **fields: Any) -> Family:
        """From a short width list, or from all widths."""
        numbers = read_numbers(numbers) if isinstance(numbers, str) else tuple(numbers)
        blank = cls.uniform(1, **fields)
        return blank.resized(numbers if len(numbers) == len(blank.widths) else blank.spread(numbers))

    @classmethod
    def read(cls: type[Family], numbers: Genome, **fields: Any) -> Family:
        """From the numbers of a spec string: one base width, or a list as for `of`."""
        return cls.uniform(*numbers, **fields) if len(numbers) == 1 else cls.of(numbers, **fields)

    @classmethod
    def label_fields(cls, labels: str) -> dict[str, Any]:
        """The fields that follow from which label maps the network takes, as a spec string names them after '@'."""
        raise SpecError(f"'@{labels}' names label maps, which such a network does not take; leave it out")

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the width groups, in the order of `widths`."""
        return tuple(group.name for group in self.plan)

    @property
    def ties(self) -> tuple[tuple[int, ...], ...]:
        """For each number of the family's usual short width list: the positions in `widths` that it sets."""
        plan = self.plan
        numbers = sorted({group.number for group in plan})
        return tuple(tuple(i for i, group in enumerate(plan) if group.number == number) for number in numbers)

    @property
    def channels(self) -> dict[str, int]:
        """The real channels of each width group."""
        return {group.name: group.factor * width for group, width in zip(self.plan, self.widths, strict=True)}

    def resized(self: Family, widths: Widths) -> Family:
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
