"""Search spaces: which widths may be chosen, and how choices become the widths of a network."""

from __future__ import annotations

import math
import random
from functools import cached_property

import numpy as np
from jaxtyping import Int
from pydantic import BaseModel, ConfigDict, model_validator

from pocketgan.errors import SpecError
from pocketgan.networks import GeneratorSpec, Genome, Widths


class Choice(BaseModel):
    """One searchable dimension: the positions of `widths` that it sets, and its options, largest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positions: tuple[int, ...]
    options: tuple[int, ...]

    @model_validator(mode="after")
    def _ordered(self) -> Choice:
        if not self.options or list(self.options) != sorted(set(self.options), reverse=True):
            raise ValueError(f"options must be distinct and listed largest first, got {list(self.options)}")
        return self


class SearchSpace(BaseModel):
    """The product of choices. A genome holds one option for each choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    spec: GeneratorSpec
    choices: tuple[Choice, ...]

    @classmethod
    def over(cls, name: str, spec: GeneratorSpec, options: tuple[tuple[int, ...], ...]) -> SearchSpace:
        """A space over the family's short width list: options for each number; the supernet is made as wide
        as the largest options."""
        if spec != spec.folded:
            raise SpecError(
                "a search space is over networks without spectral norm; leave 'spectral' out of its spec"
            )
        if len(options) != len(spec.ties):
            raise SpecError(f"a {spec.kind} space has {len(spec.ties)} choices, {len(options)} were given")
        choices = tuple(
            Choice(positions=positions, options=tuple(sorted(set(own), reverse=True)))
            for positions, own in zip(spec.ties, options, strict=True)
        )
        widest = spec.resized(spec.spread(tuple(choice.options[0] for choice in choices)))
        return cls(name=name, spec=widest, choices=choices)

    @property
    def size(self) -> int:
        """How many genomes there are."""
        return math.prod(len(choice.options) for choice in self.choices)

    @property
    def largest(self) -> Genome:
        return tuple(choice.options[0] for choice in self.choices)

    @property
    def smallest(self) -> Genome:
        return tuple(choice.options[-1] for choice in self.choices)

    def sample(self, rng: random.Random) -> Genome:
        """Each choice drawn independently and uniformly."""
        return tuple(rng.choice(choice.options) for choice in self.choices)

    def __contains__(self, genome: Genome) -> bool:
        return len(genome) == len(self.choices) and all(
            number in choice.options for number, choice in zip(genome, self.choices, strict=True)
        )

    def genomes(self, indices: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n choices"]:
        """The genomes with these numbers, 0 (the largest) to size - 1 (the smallest), last choice fastest."""
        columns = []
        for choice in reversed(self.choices):
            indices, digit = np.divmod(indices, len(choice.options))
            columns.append(np.asarray(choice.options, dtype=np.int64)[digit])
        return np.stack(columns[::-1], axis=1)

    @cached_property
    def _columns(self) -> tuple[tuple[int, int], ...]:
        return tuple((p, c) for c, choice in enumerate(self.choices) for p in choice.positions)

    def widths(self, genome: Genome) -> Widths:
        """The widths of the network that a genome stands for."""
        widths = list(self.spec.widths)
        for position, column in self._columns:
            widths[position] = int(genome[column])
        return tuple(widths)

    def all_widths(self, genomes: Int[np.ndarray, "n choices"]) -> Int[np.ndarray, "n groups"]:
        """`widths` for many genomes at once."""
        widths = np.tile(np.asarray(self.spec.widths, dtype=np.int64), (len(genomes), 1))
        for position, column in self._columns:
            widths[:, position] = genomes[:, column]
        return widths
