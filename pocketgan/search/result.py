"""What a search found."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pocketgan.metrics.catalog import Better
from pocketgan.networks import Genome
from pocketgan.search.pareto import front_of

Cost = Literal["macs", "true_macs", "params"]


class Candidate(BaseModel):
    """A scored genome.

    `costs` are `params`, `macs` and `true_macs` for one image; a score that was not finite is None.
    `generation` is 0 throughout where the strategy has no generations. `images`: after how many a race stopped it,
    in which case its objective is an estimate; None where it was scored on all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    genome: Genome
    generation: int
    costs: dict[str, int]
    scores: dict[str, float | None]
    images: int | None = None


class SearchResult(BaseModel):
    """All candidates in the order in which they were scored; at least one of `whole` has a finite `objective`."""

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
    def whole(self) -> tuple[Candidate, ...]:
        """The candidates that were scored on all images."""
        return tuple(candidate for candidate in self.candidates if candidate.images is None)

    @property
    def best(self) -> Candidate:
        """Of `whole`, that with the best objective; of equals that with fewer MACs, then the one found first."""
        return self.ranked()[0]

    def ranked(self, margin: float = 0.0) -> tuple[Candidate, ...]:
        """Those of `whole` with a finite objective, the first choice first.

        Those whose objective is behind the best by at most this share of it come first, the one with the most MACs
        before the others; then, and among all where the margin is 0, what is better, of equals what has fewer MACs.
        """
        finite = [one for one in self.whole if math.isfinite(self.loss(one))]
        by_loss = sorted(finite, key=lambda one: (self.loss(one), one.costs["macs"]))
        best = self.loss(by_loss[0])
        near = [one for one in by_loss if self.loss(one) <= best + margin * abs(best)] if margin else []
        return (*sorted(near, key=lambda one: -one.costs["macs"]), *by_loss[len(near) :])

    def front(self, cost: Cost = "macs") -> tuple[Candidate, ...]:
        """Of `whole` the non-dominated, cheapest first: no other costs as little and has as good an objective.

        Of candidates equal in both the one found first stays.
        """
        points = {(one.costs[cost], self.loss(one)): one for one in reversed(self.whole)}
        ones = [*points.values()]
        return tuple(ones[place] for place in front_of([*points]))
