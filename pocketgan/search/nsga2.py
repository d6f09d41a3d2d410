"""NSGA-II: a search for good networks at every cost."""

from __future__ import annotations

import random
from functools import partial
from typing import Literal

import numpy as np
from pydantic import Field

from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import Genome
from pocketgan.search.feasible import Draw, Feasible
from pocketgan.search.pareto import crowding, ranks
from pocketgan.search.result import Cost
from pocketgan.search.strategy import Scored, Strategy, stream
from pocketgan.search.variation import crossed, mutated


class Nsga2(Strategy):
    """The elitist genetic algorithm for two objectives, here the score and a cost.

    Generation 0 is the smallest subnet, one end of every front, and others drawn at random within the budget. In
    each of `generations` more, `population` children come from parents that won a tournament of two: crossed with
    `crossover_probability` (each choice from one of the two), else copies of the first; then each choice is redrawn
    uniformly with `mutation_probability`, by default one choice a child. Parents and children together are ordered
    by the front they belong to, those of one front by how far away their neighbours are; the first `population`
    are the next parents. The last generation counts; a genome is scored once.

    Source: Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II.
    """

    kind: Literal["nsga2"] = "nsga2"
    cost: Cost = "macs"
    population: int = Field(default=100, ge=2)
    generations: int = Field(default=250, ge=0)
    crossover_probability: float = Field(default=0.9, ge=0, le=1)
    mutation_probability: float | None = Field(default=None, ge=0, le=1)

    @property
    def survivors(self) -> int:
        return self.population

    def most_after(self, generation: int) -> int:
        return self.population * max(0, self.generations - generation)

    def propose(self, generation: int, feasible: Feasible, parents: list[Genome], seed: int) -> list[Genome]:
        space = feasible.space
        draw = partial(self._child, space, parents) if parents else space.sample
        draws: list[Draw] = [(stream(seed, generation, child), draw) for child in range(self.population)]
        drawn = feasible.first_fitting(draws)
        return drawn if parents else [space.smallest, *drawn[1:]]

    def select(self, rivals: list[Scored]) -> list[Scored]:
        points = np.array([(rival.loss, rival.costs[self.cost]) for rival in rivals], dtype=np.float64).reshape(
            -1, 2
        )
        front = ranks(points)
        apart = np.zeros(len(points))
        for rank in np.unique(front):
            apart[front == rank] = crowding(points[front == rank])
        return [rivals[i] for i in np.lexsort((-apart, front))[: self.survivors]]

    def _child(self, space: SearchSpace, parents: list[Genome], rng: random.Random) -> Genome:
        # parents come best first
        first, second = (parents[min(rng.choices(range(len(parents)), k=2))] for _ in range(2))
        child = crossed(first, second, rng) if rng.random() < self.crossover_probability else first
        probability = self.mutation_probability
        return mutated(space, child, 1 / len(child) if probability is None else probability, rng)
