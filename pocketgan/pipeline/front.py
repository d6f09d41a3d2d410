"""Stages for every budget after one training: how fast the front of a search is, and another choice from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, model_validator

from pocketgan.deploy.latency import compare_onnx
from pocketgan.deploy.machine import Machine
from pocketgan.deploy.onnx import export_onnx
from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.errors import BudgetError
from pocketgan.metrics.catalog import Better
from pocketgan.models import save_model
from pocketgan.networks import Genome
from pocketgan.pipeline.searching import Search, subnet
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.training import card_of
from pocketgan.search import Candidate, SearchResult
from pocketgan.units import Number, number_text, si

#: for how long each subnet is measured, at most, unless ten runs of it take longer
SECONDS = 5.0


class FrontPoint(BaseModel):
    """One subnet of the front: its `costs` for one image, its `score` on the selection split, and the median and
    quartiles of its latency in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    genome: Genome
    costs: dict[str, int]
    score: float
    latency_ms: float
    quartiles_ms: tuple[float, float]


class MeasuredFront(BaseModel):
    """Non-dominated subnets in MACs and score, cheapest first, with the latencies that one machine measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: str
    better: Better
    runtime: str
    threads: int
    machine: Machine
    points: tuple[FrontPoint, ...]

    @property
    def measured_on(self) -> str:
        """Where the latencies come from, in words."""
        return f"{self.runtime}, {self.threads} thread, {self.machine.cpu}"

    @property
    def latencies(self) -> dict[Genome, float]:
        """Milliseconds of each subnet."""
        return {point.genome: point.latency_ms for point in self.points}


class Front(Stage):
    """The front of a search, its subnets measured in turns on the runtime that serves them. Leaves `front.json`.

    `points`: how many of the front at most, evenly over the logarithm of MACs.
    """

    kind: Literal["front"] = "front"
    search: Search
    points: PositiveInt = 16

    def run(self, work: Workspace) -> None:
        result = self.search.load(work.inputs(self.search))
        chosen = thinned(result.front(), self.points)
        size = self.search.supernet.task.size
        # exports that an interrupted session finished are whole, and in the same order
        exports = [work.folder / "state" / f"{number}.onnx" for number in range(len(chosen))]
        for done, (candidate, file) in enumerate(zip(chosen, exports, strict=True), 1):
            if not file.exists():
                export_onnx(subnet(self.search, candidate.genome, work), size, file)
            work.progress(done, len(chosen))
        latencies = compare_onnx(exports, size, threads=1, budget_s=SECONDS * len(exports))
        measured = MeasuredFront(
            objective=result.objective,
            better=result.better,
            runtime=latencies[0].runtime,
            threads=latencies[0].threads,
            machine=Machine.here(),
            points=tuple(
                FrontPoint(
                    genome=candidate.genome,
                    costs=candidate.costs,
                    score=_score(candidate, result.objective),
                    latency_ms=latency.median_ms,
                    quartiles_ms=latency.quartiles_ms,
                )
                for candidate, latency in zip(chosen, latencies, strict=True)
            ),
        )
        (work.artifact / "front.json").write_text(measured.model_dump_json(indent=1) + "\n")

    def inputs(self) -> Iterable[Stage]:
        return (self.search, self.search.supernet)

    def load(self, artifact: Path) -> MeasuredFront:
        return MeasuredFront.model_validate_json((artifact / "front.json").read_text())


class Pick(Stage):
    """The best of what a search scored within another budget, as `Extract` leaves it: `model/`.

    `latency_ms`: a further bound, on what `front` measured; then only the subnets in that are chosen from.
    """

    kind: Literal["pick"] = "pick"
    search: Search
    budget: Budget
    front: Front | None = None
    latency_ms: PositiveFloat | None = None

    @model_validator(mode="after")
    def _measured(self) -> Pick:
        if (self.latency_ms is None) != (self.front is None):
            raise ValueError("a bound on the latency, and nothing else, needs a measured front")
        return self

    def choose(self, result: SearchResult, latencies: dict[Genome, float] | None = None) -> Candidate:
        """The candidate with the best score within the bounds. `latencies`: in milliseconds, of those measured.

        Raises `BudgetError` where no candidate with a finite score is within them.
        """
        scored = [each for each in result.candidates if math.isfinite(result.loss(each))]
        bounds: list[tuple[str, Number, Mapping[Genome, Number]]] = [
            (UNITS[name], bound, {each.genome: each.costs[name] for each in scored})
            for name, bound in self.budget.bounds.items()
        ]
        if self.latency_ms is not None:
            bounds.append(("ms", self.latency_ms, latencies or {}))
        for unit, bound, costs in bounds:
            least = min(costs, key=costs.__getitem__)
            if costs[least] > bound:
                raise BudgetError(
                    f"budget {_figure(bound, unit)} is below the smallest subnet that the search scored "
                    f"({_figure(costs[least], unit)}: {self.search.space.text(least)}); raise it"
                )
        within = [
            each for each in scored if all(costs.get(each.genome, math.inf) <= bound for _, bound, costs in bounds)
        ]
        if not within:
            words = " and ".join(_figure(bound, unit) for unit, bound, _ in bounds)
            raise BudgetError(f"no subnet that the search scored is within {words} at once; raise one of them")
        return result.model_copy(update={"candidates": tuple(within)}).best

    def run(self, work: Workspace) -> None:
        latencies = self.front.load(work.inputs(self.front)).latencies if self.front else None
        choice = self.choose(self.search.load(work.inputs(self.search)), latencies)
        network = subnet(self.search, choice.genome, work)
        save_model(work.artifact / "model", network, card_of(self.search.supernet.task, self))

    def inputs(self) -> Iterable[Stage]:
        return (self.search, self.search.supernet, *((self.front,) if self.front else ()))


def thinned(front: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many of a front, cheapest first: those nearest to equal steps in the logarithm of MACs.

    The ends stay, so the best of all stays; of one alone it is that.
    """
    if len(front) <= most:
        return list(front)
    places = [math.log(candidate.costs["macs"]) for candidate in front]
    low, high = places[0], places[-1]
    steps = [high - (high - low) * step / max(1, most - 1) for step in range(most)]
    kept = {min(range(len(front)), key=lambda i: abs(places[i] - step)) for step in steps}
    return [front[i] for i in sorted(kept)]


def _score(candidate: Candidate, objective: str) -> float:
    score = candidate.scores[objective]
    assert score is not None, "the front holds finite scores only"
    return score


def _figure(value: Number, unit: str) -> str:
    return f"{number_text(value)} ms" if unit == "ms" else f"{si(value)} {unit}"
