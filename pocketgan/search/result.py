"""What a search found."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pocketgan.networks import Genome

Better = Literal["lower", "higher"]
Cost = Literal["macs", "true_macs", "params"]


class Candidate(BaseModel):
    """A scored genome.

    `costs` are `params`, `macs` and `true_macs` for one image; a score that was not finite is None.
    `generation` is 0 throughout where the strategy has no generations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    genome: Genome
    generation: int
    costs: dict[str, int]
    scores: dict[str, float | None]


class SearchResult(BaseModel):
    """All candidates in the order in which they were scored; at least one has a finite `objective`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: str
    better: Better
    candidates: tuple[Candidate, ...]

    def loss(self, candidate: Candidate) -> float:
        """The objective turned so that lower is better; infinite where there is no finite score."""
        score = candidate.scores[self.objective]
        if score is None:
            return math.inf
        return score if self.better == "lower" else -score

    @property
    def best(self) -> Candidate:
        """The candidate with the best objective; of equals that with fewer MACs, then the one found first."""
        return min(self.candidates, key=lambda candidate: (self.loss(candidate), candidate.costs["macs"]))

    def front(self, cost: Cost = "macs") -> tuple[Candidate, ...]:
        """The non-dominated candidates, cheapest first: no other costs as little and has as good an objective.

        Of candidates equal in both the one found first stays.
        """
        front: list[Candidate] = []
        least = math.inf
        for candidate in sorted(self.candidates, key=lambda one: (one.costs[cost], self.loss(one))):
            if self.loss(candidate) < least:
                front.append(candidate)
                least = self.loss(candidate)
        return tuple(front)
