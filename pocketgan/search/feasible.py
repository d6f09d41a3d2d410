"""The genomes of a space whose networks fit a budget, found by arithmetic alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel, Costs
from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import Genome

#: draws for one genome before the last of them is shrunk
TRIES = 100

#: a source of genomes with its own random numbers
Draw = tuple[random.Random, Callable[[random.Random], Genome]]


class Feasible:
    """A space under a budget. Raises `BudgetError` when not even the smallest subnet fits.

    Rests on one property of every network: a larger choice never makes it cheaper. No network is listed or drawn by
    two genomes: widths of blocks that it has not are at their smallest.
    """

    #: the largest number of genomes that `all` lists
    most = 20_000

    def __init__(self, space: SearchSpace, model: CostModel, budget: Budget) -> None:
        budget.check(space, model)
        self.space, self.model, self.budget = space, model, budget

    def costs(self, genomes: Sequence[Genome]) -> Costs:
        """What the genomes' networks cost for one image."""
        return self.model.of(self.space, np.asarray(genomes, dtype=np.int64))

    def fits(self, genomes: Sequence[Genome]) -> Bool[np.ndarray, " n"]:
        """Which genomes fit the budget."""
        return self.budget.admits(self.costs(genomes))

    @cached_property
    def all(self) -> tuple[Genome, ...] | None:
        """Every genome that fits, largest options first, last choice fastest; None for more than `most`."""
        genomes = np.array([self.space.smallest], dtype=np.int64)
        # One choice after the other is opened, all later ones at their smallest: what does not fit now never
        # will, so the work grows with the number of genomes that fit and not with the size of the space.
        for column, choice in enumerate(self.space.choices):
            genomes = np.repeat(genomes, len(choice.options), axis=0)
            genomes[:, column] = np.tile(choice.options, len(genomes) // len(choice.options))
            genomes = genomes[self.budget.admits(self.model.of(self.space, genomes))]
            if len(genomes) > self.most:
                return None
        genomes = genomes[(genomes == self.space.canonical(genomes)).all(axis=1)]
        return tuple(tuple(genome) for genome in genomes.tolist())

    def first_fitting(self, draws: Sequence[Draw]) -> list[Genome]:
        """From each source its first genome that fits; after `TRIES` that do not, the last one, shrunk."""
        found: dict[int, Genome] = {}
        for _ in range(TRIES):
            waiting = [i for i in range(len(draws)) if i not in found]
            if not waiting:
                break
            drawn = {i: draws[i][1](draws[i][0]) for i in waiting}
            fits = self.fits(list(drawn.values()))
            found |= {i: drawn[i] for i, fit in zip(waiting, fits, strict=True) if fit}
        for i in range(len(draws)):
            if i not in found:
                found[i] = self.shrunk(drawn[i], draws[i][0])
        genomes = np.array([found[i] for i in range(len(draws))], dtype=np.int64)
        genomes = genomes.reshape(len(draws), len(self.space.choices))
        return [tuple(genome) for genome in self.space.canonical(genomes).tolist()]

    def shrunk(self, genome: Genome, rng: random.Random) -> Genome:
        """The genome with choices, drawn at random, made one option smaller until it fits."""
        options = [choice.options for choice in self.space.choices]
        steps = [
            column
            for column, number in enumerate(genome)
            for _ in range(options[column].index(number) + 1, len(options[column]))
        ]
        rng.shuffle(steps)
        path = [genome]
        for column in steps:
            smaller = list(path[-1])
            smaller[column] = options[column][options[column].index(smaller[column]) + 1]
            path.append(tuple(smaller))
        return path[int(np.argmax(self.fits(path)))]
