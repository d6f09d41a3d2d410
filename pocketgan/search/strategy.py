"""What every strategy is: a value that says which genomes to score, one generation after the other.

All its random numbers derive from the seed, the generation and the place in the generation, so that what it
proposes does not depend on when, where or how often the search was interrupted.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Generator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from pocketgan.networks import Genome
from pocketgan.search.feasible import Feasible
from pocketgan.seeds import derive_seed


@dataclass(frozen=True)
class Scored:
    """What a strategy learns of a genome: `loss` is lower where the objective is better, and infinite where it is
    not finite; `costs` are `params`, `macs` and `true_macs` for one image."""

    genome: Genome
    loss: float
    costs: dict[str, int]


#: Yields the genomes of one generation after the other. Is sent those of them that were scored then: what had been
#: scored before is not scored again. Ends when there is nothing to go on from.
Course = Generator[list[Genome], list[Scored], None]


class Strategy(BaseModel):
    """Base of all strategies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @property
    def survivors(self) -> int:
        """How many of the best may have children."""
        return 0

    def most_after(self, generation: int) -> int:
        """How many genomes at most the generations after this one propose; 0 after the last, all after -1."""
        raise NotImplementedError

    def course(self, feasible: Feasible, seed: int) -> Course:
        """A search from its start. It may go on beyond what `most_after` says; to stop is for the caller."""
        parents: list[Scored] = []
        for generation in itertools.count():
            children = yield self.propose(generation, feasible, [parent.genome for parent in parents], seed)
            finite = [rival for rival in parents + children if math.isfinite(rival.loss)]
            parents = self.select(finite)
            if not parents:
                return

    def propose(self, generation: int, feasible: Feasible, parents: list[Genome], seed: int) -> list[Genome]:
        """The genomes of a generation, all within the budget; one that was scored before is not scored again.

        `parents` are the best so far, best first; none in generation 0.
        """
        raise NotImplementedError

    def select(self, rivals: list[Scored]) -> list[Scored]:
        """The survivors, best first, of the parents and their children; of equals the one that was found first."""
        return sorted(rivals, key=lambda rival: rival.loss)[: self.survivors]


def stream(seed: int, generation: int, position: int) -> random.Random:
    """The random numbers of one place in a search."""
    return random.Random(derive_seed(seed, "search", generation, position))
