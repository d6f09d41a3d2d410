"""The latency model of a search space: how long its subnets take on a runtime, measured before any training."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from pocketgan.deploy.latency import BUSY, REFERENCE, beside_reference
from pocketgan.deploy.machine import Machine
from pocketgan.deploy.runtimes import Serving
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.latency import LatencyModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.files import replacing
from pocketgan.networks import Genome
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.timing import Stopwatch
from pocketgan.pretrained.weights import cache_folder
from pocketgan.units import Size

#: subnets that are measured in the same turns: more would fill the memory
TOGETHER = 6
#: seconds for one subnet, at most, unless ten runs of it take longer
SECONDS = 3.0


class TimedSubnet(BaseModel):
    """One subnet: its time as a multiple of the reference's in the same turns (see `deploy.latency.Relative`), its
    quickest run, the reference's median in milliseconds, and the share of the time in which others had the
    processor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    genome: Genome
    ratio: float
    least_ms: float
    reference_ms: float
    waiting: float


class MeasuredLatency(BaseModel):
    """A latency model with what it was fitted to.

    Attributes:
        runtime: its name and version.
        reference_ms: milliseconds of the reference where the machine was quietest: what ratios are multiples of.
        model: from the work of subnets to their milliseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    space: str
    size: Size
    runtime: str
    threads: int
    machine: Machine
    date: datetime
    reference_ms: float
    points: tuple[TimedSubnet, ...]
    model: LatencyModel

    def ms(self, point: TimedSubnet) -> float:
        """The milliseconds of a subnet that was measured, now or then, as if the machine were as quiet as then."""
        return point.ratio * self.reference_ms

    @property
    def busy(self) -> bool:
        """Whether the machine was busy for most of the time: ratios hold, milliseconds are then too many."""
        return float(np.median([point.waiting for point in self.points])) > BUSY

    @property
    def text(self) -> str:
        """How good it is and where it comes from, in words."""
        where = f"{self.runtime}, {self.threads} thread{'s' * (self.threads > 1)}, {self.machine.cpu}"
        busy = ", which was busy" * self.busy
        return (
            f"a latency model from {len(self.points)} subnets on {where}{busy}; it is off by "
            f"{self.model.error:.1%} in the mean, at most {self.model.worst:.1%}, for subnets that it has not seen"
        )


class ModelLatency(Stage):
    """The latency model of a space: subnets with fresh weights, spread over it, are measured in turns with a
    reference, and the model is fitted to them.

    Leaves: `latency.json`. What a machine has measured it keeps in the user's cache, for other runs.
    Fields:
        size: height and width of the images.
        runtime: a serving runtime and its threads, as onnxruntime:1.
        points: how many subnets are measured.
    """

    kind: Literal["latency-model"] = "latency-model"
    space: SearchSpace
    size: Size
    runtime: str
    points: PositiveInt = 24

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("latency.json",)

    def seconds(self, watch: Stopwatch) -> float:
        return 0.0 if self.kept() else self.seconds_for(self.points, watch)

    def seconds_for(self, subnets: int, watch: Stopwatch, *, fixed: bool = True) -> float:
        """How long it takes to measure so many, see `timed`."""
        # an export for one size takes about a third of one for all
        return subnets * (watch.export(self.space.spec) / (3 if fixed else 1) + SECONDS / 2)

    def run(self, work: Workspace) -> None:
        measured = self.kept()
        if measured is None:
            measured = self._fitted(self._measured(work))
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._place, shared=True) as part:
                part.write_text(measured.model_dump_json(indent=1) + "\n")
        (work.artifact / "latency.json").write_text(measured.model_dump_json(indent=1) + "\n")

    def load(self, artifact: Path) -> MeasuredLatency:
        return MeasuredLatency.model_validate_json((artifact / "latency.json").read_text())

    def kept(self) -> MeasuredLatency | None:
        """What this machine has measured before with this version of the runtime."""
        try:
            return MeasuredLatency.model_validate_json(self._place.read_text())
        except (OSError, ValidationError):
            return None

    def timing(self, store: Store) -> LatencyModel | None:
        """The model, where it is known already."""
        known = self.load(store.artifact(self)) if store.status(self) == "finished" else self.kept()
        return known.model if known else None

    def check(self, budget: Budget, store: Store) -> None:
        """Raise `BudgetError` where no subnet is within the budget, before anything is trained: by the model where
        it is known, else by the smallest subnet's quickest run."""
        if model := self.timing(store):
            return budget.check(self.space, CostModel(self.space.spec, *self.size, timing=model))
        with TemporaryDirectory() as folder:
            (least,) = self.timed([self.space.smallest], Path(folder))
        budget.check_latency(self.space, least.least_ms)

    def timed(
        self,
        genomes: Sequence[Genome],
        folder: Path,
        progress: Callable[[int], None] = lambda done: None,
        *,
        fixed: bool = True,
    ) -> list[TimedSubnet]:
        """Measure subnets with fresh weights, which take as long as trained ones, in turns with the reference.

        Args:
            folder: for their files, which do not stay.
            progress: called with how many are exported.
            fixed: in files for images of one size, which are sooner made; else in those that are shipped, which
                some runtimes take a little longer for.
        """
        runtime, threads = Serving.of_files(self.runtime)
        assert runtime.export is not None, "the runtime has files"
        with TemporaryDirectory(dir=folder) as place:
            files = [Path(place) / f"{number}{runtime.suffix}" for number in range(len(genomes))]
            for done, (genome, file) in enumerate(zip(genomes, files, strict=True), 1):
                runtime.export(self.space.subspec(genome).build().eval(), self.size, file, fixed=fixed)
                progress(done)
            measured = beside_reference(
                runtime, files, self.size, threads, folder=folder, budget_s=SECONDS * len(files)
            )
        return [
            TimedSubnet(genome=genome, **vars(relative)) for genome, relative in zip(genomes, measured, strict=True)
        ]

    def _measured(self, work: Workspace) -> list[TimedSubnet]:
        """The points, going on from those that an interrupted session has measured."""
        state = work.folder / "state"
        state.mkdir(exist_ok=True)
        kept, points = state / "points.json", list[TimedSubnet]()
        if kept.exists():
            points = [TimedSubnet.model_validate(point) for point in json.loads(kept.read_text())]
        genomes = spread(self.space, self.points)
        for start in range(len(points), len(genomes), TOGETHER):
            tell = lambda done, start=start: work.progress(start + done, len(genomes))  # noqa: E731
            points += self.timed(genomes[start : start + TOGETHER], state, tell)
            with replacing(kept) as part:
                part.write_text(json.dumps([point.model_dump() for point in points]))
        return points

    def _fitted(self, points: Sequence[TimedSubnet]) -> MeasuredLatency:
        runtime, threads = Serving.of_files(self.runtime)
        costs = CostModel(self.space.spec, *self.size)
        genomes = np.array([point.genome for point in points], dtype=np.int64)
        reference_ms = min(point.reference_ms for point in points)
        ms = np.array([point.ratio for point in points]) * reference_ms
        return MeasuredLatency(
            space=self.space.name,
            size=self.size,
            runtime=runtime.version(),
            threads=threads,
            machine=Machine.here(),
            date=datetime.now(UTC),
            reference_ms=reference_ms,
            points=tuple(points),
            model=LatencyModel.fit(costs.work(self.space, genomes), ms),
        )

    @property
    def _place(self) -> Path:
        """Where this machine keeps it."""
        runtime, _ = Serving.of_files(self.runtime)
        measured = f"{Machine.here().model_dump_json()} {runtime.version()} {REFERENCE.model_dump_json()}"
        here = hashlib.sha256(measured.encode()).hexdigest()
        return cache_folder() / "latency" / f"{self.digest[:16]}-{here[:8]}.json"


def spread(space: SearchSpace, most: int) -> list[Genome]:
    """At most so many subnets: the smallest, the largest, those whose choices all stand at the same place between,
    and others drawn with a fixed seed. The smallest comes first."""
    longest = max(len(choice.options) for choice in space.choices)
    even = [
        tuple(choice.options[min(step, len(choice.options) - 1)] for choice in space.choices)
        for step in range(longest)
    ]
    rng = random.Random(0)
    drawn = [space.sample(rng) for _ in range(10 * most)]
    genomes = space.canonical(np.array([space.smallest, *even, *drawn], dtype=np.int64)).tolist()
    return list(dict.fromkeys(map(tuple, genomes)))[:most]
