"""How fast the subnets on the front of a search are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveInt

from pocketgan.deploy.latency import latencies
from pocketgan.deploy.machine import Machine
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.metrics.catalog import Better
from pocketgan.networks import Genome
from pocketgan.pipeline.export import RuntimeName
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.timing import Stopwatch
from pocketgan.search import Candidate

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


class FrontLatency(Stage):
    """The latencies of the front of a search, its subnets measured in turns on the runtime that serves them.

    Leaves: `front.json`.
    Fields:
        points: how many of the front at most, evenly over the logarithm of MACs.
        runtime: the one that serves the subnets.
    """

    kind: Literal["front-latency"] = "front-latency"
    search: Search
    points: PositiveInt = 16
    runtime: RuntimeName = "onnxruntime"

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("front.json",)

    def inputs(self) -> Iterable[Stage]:
        return (self.search, self.search.supernet)

    def seconds(self, watch: Stopwatch) -> float:
        return self.points * (watch.export(self.search.space.spec) + SECONDS / 2)

    def run(self, work: Workspace) -> None:
        result = self.search.load(work.inputs(self.search))
        chosen = thinned(result.front(), self.points)
        size = self.search.supernet.task.size
        runtime = runtime_named(self.runtime)
        assert runtime.export is not None, "checked at construction"
        # exports that an interrupted session finished are whole, and in the same order
        state = work.folder / "state"
        state.mkdir(exist_ok=True)
        exports = [state / f"{number}{runtime.suffix}" for number in range(len(chosen))]
        for done, (candidate, file) in enumerate(zip(chosen, exports, strict=True), 1):
            if not file.exists():
                runtime.export(self.search.subnet(candidate.genome, work).cpu(), size, file)
            work.progress(done, len(chosen))
        measured = latencies(runtime, exports, size, threads=1, budget_s=SECONDS * len(exports))
        front = MeasuredFront(
            objective=result.objective,
            better=result.better,
            runtime=measured[0].runtime,
            threads=measured[0].threads,
            machine=Machine.here(),
            points=tuple(
                FrontPoint(
                    genome=candidate.genome,
                    costs=candidate.costs,
                    score=_score(candidate, result.objective),
                    latency_ms=latency.median_ms,
                    quartiles_ms=latency.quartiles_ms,
                )
                for candidate, latency in zip(chosen, measured, strict=True)
            ),
        )
        (work.artifact / "front.json").write_text(front.model_dump_json(indent=1) + "\n")

    def load(self, artifact: Path) -> MeasuredFront:
        return MeasuredFront.model_validate_json((artifact / "front.json").read_text())


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
