"""Specs whose width groups are many: one table says all about them."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from pydantic import model_validator

from pocketgan.networks.spec import Genome, NetworkSpec, read_numbers

Planned = TypeVar("Planned", bound="PlannedSpec")


class Group(NamedTuple):
    """A width group: its channels are `factor` times its width; `number` of the short width list sets it."""

    name: str
    factor: int
    number: int


class PlannedSpec(NetworkSpec):
    """A spec with `plan`, from which its groups, their ties and their real channels follow."""

    @property
    def plan(self) -> tuple[Group, ...]:
        """The width groups, in the order of `widths`; from the other fields alone."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _fits(self: Planned) -> Planned:
        if len(self.widths) != len(self.plan) or min(self.widths) < 1:
            raise ValueError(f"this {self.kind} has {len(self.plan)} positive widths, not {len(self.widths)}")
        return self

    @classmethod
    def uniform(cls: type[Planned], width: int, **fields: Any) -> Planned:
        """One base width everywhere."""
        return cls(widths=(width,) * len(cls.model_construct(widths=(), **fields).plan), **fields)

    @classmethod
    def of(cls: type[Planned], numbers: Genome | str, **fields: Any) -> Planned:
        """From a short width list, or from all widths."""
        numbers = read_numbers(numbers) if isinstance(numbers, str) else tuple(numbers)
        blank = cls.uniform(1, **fields)
        return blank.resized(numbers if len(numbers) == len(blank.widths) else blank.spread(numbers))

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(group.name for group in self.plan)

    @property
    def ties(self) -> tuple[tuple[int, ...], ...]:
        plan = self.plan
        numbers = sorted({group.number for group in plan})
        return tuple(tuple(i for i, group in enumerate(plan) if group.number == number) for number in numbers)

    @property
    def channels(self) -> dict[str, int]:
        """The real channels of each width group."""
        return {group.name: group.factor * width for group, width in zip(self.plan, self.widths, strict=True)}
