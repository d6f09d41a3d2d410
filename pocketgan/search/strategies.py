"""The strategies of the papers: everything, at random, by evolution; and any strategy as a type."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import SpecError
from pocketgan.networks import Genome
from pocketgan.search.feasible import Draw, Feasible
from pocketgan.search.nsga2 import Nsga2
from pocketgan.search.reinforcement import Reinforcement
from pocketgan.search.strategy import Strategy, stream
from pocketgan.search.variation import crossed, mutated

Weighting = Literal["uniform", "arithmetic", "geometric"]


class Exhaustive(Strategy):
    """Every genome that fits the budget, in an order that the seed shuffles."""

    kind: Literal["exhaustive"] = "exhaustive"

    def most_after(self, generation: int) -> int:
        return Feasible.most if generation < 0 else 0

    def propose(self, generation: int, feasible: Feasible, parents: list[Genome], seed: int) -> list[Genome]:
        if feasible.all is None:
            raise SpecError(
                f"exhaustive search scores at most {feasible.most:,} subnets, but more of the "
                f"{feasible.space.size:,} in {feasible.space.name} fit the budget; search by evolution, "
                "lower the budget or choose a smaller space"
            )
        return _shuffled(feasible.all, seed)


class Random(Strategy):
    """Distinct genomes that fit the budget, drawn uniformly; fewer where no more are found."""

    kind: Literal["random"] = "random"
    candidates: int = Field(gt=0)

    def most_after(self, generation: int) -> int:
        return self.candidates if generation < 0 else 0

    def propose(self, generation: int, feasible: Feasible, parents: list[Genome], seed: int) -> list[Genome]:
        if feasible.all is not None:
            return _shuffled(feasible.all, seed)[: self.candidates]
        drawn: dict[Genome, None] = {}
        for first in itertools.count(step=self.candidates):
            draws: list[Draw] = [
                (stream(seed, 0, first + i), feasible.space.sample) for i in range(self.candidates)
            ]
            known = len(drawn)
            drawn |= dict.fromkeys(feasible.first_fitting(draws))
            if len(drawn) >= self.candidates or len(drawn) == known:
                break
        return list(drawn)[: self.candidates]


class Evolution(Strategy):
    """The papers' evolutionary search.

    Generation 0 is drawn at random within the budget. In each of `generations` more, `population` children
    come from the best genomes so far, `parent_ratio` of a population: a share of `mutation_ratio` by mutation
    (each choice redrawn uniformly with `mutation_probability`), the others by crossover (each choice from one
    of two parents). The last generation counts; a genome is scored once, and is one parent at most.

    `weighting` favours small subnets in generation 0, where large ones seldom fit: the smallest option of a
    choice is `first_generation` times as likely as the largest (arithmetic), or each option that many times
    as likely as the next larger one (geometric).

    Source: Fast GAN Compression, section 3.3, and the official settings.
    """

    kind: Literal["evolution"] = "evolution"
    population: int = Field(default=100, ge=2)
    parent_ratio: float = Field(default=0.25, gt=0, le=1)
    mutation_ratio: float = Field(default=0.5, ge=0, le=1)
    mutation_probability: float = Field(default=0.2, ge=0, le=1)
    generations: int = Field(default=500, ge=0)
    first_generation: float = Field(default=1.0, gt=0)
    weighting: Weighting = "uniform"

    @model_validator(mode="after")
    def _weighting_used(self) -> Evolution:
        if self.weighting == "uniform" and self.first_generation != 1:
            raise ValueError(
                f"first_generation={self.first_generation:g} has no effect on uniform weighting; "
                "choose arithmetic or geometric"
            )
        return self

    @property
    def survivors(self) -> int:
        return max(1, round(self.parent_ratio * self.population))

    def most_after(self, generation: int) -> int:
        return self.population * max(0, self.generations - generation)

    def propose(self, generation: int, feasible: Feasible, parents: list[Genome], seed: int) -> list[Genome]:
        space = feasible.space
        rngs = [stream(seed, generation, child) for child in range(self.population)]
        if generation == 0:
            weights = [
                sampling_weights(len(choice.options), self.weighting, self.first_generation)
                for choice in space.choices
            ]
            return feasible.first_fitting([(rng, partial(_weighted, space, weights)) for rng in rngs])
        mutants = round(self.mutation_ratio * self.population)
        draws: list[Draw] = []
        for child, rng in enumerate(rngs):
            if child < mutants:
                parent = rng.choice(parents)
                draws.append((rng, partial(mutated, space, parent, self.mutation_probability)))
            else:
                first, second = rng.sample(parents, 2) if len(parents) > 1 else parents * 2
                draws.append((rng, partial(crossed, first, second)))
        return feasible.first_fitting(draws)


AnyStrategy = Annotated[Exhaustive | Random | Evolution | Nsga2 | Reinforcement, Field(discriminator="kind")]


def sampling_weights(options: int, weighting: Weighting, strength: float) -> tuple[float, ...]:
    """Probabilities of the options of a choice, listed largest to smallest.

    Arithmetic: a, a + 1, ... with a = (n - 1) / (s - 1), in other words 1 to s in equal steps.
    Geometric: 1, s, s^2, ...
    Source: Fast GAN Compression, the official weighted sampling.
    """
    if weighting == "geometric":
        weights = [strength**i for i in range(options)]
    else:
        weights = [1 + i * (strength - 1) / max(1, options - 1) for i in range(options)]
    return tuple(weight / sum(weights) for weight in weights)


def _shuffled(genomes: Sequence[Genome], seed: int) -> list[Genome]:
    return stream(seed, 0, 0).sample(genomes, len(genomes))


def _weighted(space: SearchSpace, weights: list[tuple[float, ...]], rng: random.Random) -> Genome:
    return tuple(
        rng.choices(choice.options, weight)[0] for choice, weight in zip(space.choices, weights, strict=True)
    )
