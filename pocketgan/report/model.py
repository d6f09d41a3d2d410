"""What a run has to tell, as data: `report.json` is a `Report`."""

import math
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from pocketgan.deploy.machine import Machine
from pocketgan.metrics.catalog import Better
from pocketgan.metrics.compare import decides
from pocketgan.report.measurement import Measurement
from pocketgan.search.pareto import front_of
from pocketgan.units import Size, number_text

#: a network that takes longer than was asked by more than this share is told of
TOLERATED = 0.1


class Value(BaseModel):
    """Base of what a report is made of."""

    # Non-finite scores (a collapsed candidate) are kept; as strings they survive strict JSON.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Row(Value):
    """One network, measured in full.

    Attributes:
        kind: the page compares the first `compressed` with the first `teacher`; `scratch` is the compressed
            network again, trained from images alone, and `published` one of the papers' size that was not trained.
        macs: multiply-accumulates of one image, by the papers' convention.
        true_macs: multiply-accumulates of one image, exact.
        size_bytes: the weights on disk.
        latency_ms: median of one image, in milliseconds, on `latency_runtime`.
        scores: by metric name, on the report's `figure_split`.
        intervals: 95 % confidence interval (low, high) of the scores that have one.
        digest: address of the artifact.
        subnet: widths of a subnet, e.g. `32_32_48_32_48_48_16_16`.
    """

    name: str
    kind: Literal["teacher", "compressed", "scratch", "published", "other"]
    params: int
    macs: int
    true_macs: int
    size_bytes: int | None = None
    latency_ms: float | None = None
    latency_runtime: str = ""
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    digest: str
    subnet: str | None = None


class CandidatePoint(Value):
    """One subnet that the search scored, on the report's `selection_split`.

    Attributes:
        chosen: whether the search settled on it.
        latency_ms: median of one image, in milliseconds, where it was measured (see `Report.latencies_on`).
    """

    subnet: str
    macs: int
    true_macs: int
    params: int
    scores: dict[str, float]
    chosen: bool = False
    latency_ms: float | None = None


class Example(Value):
    """One image of the page with its own score; the pictures are the `page.ImageRow` of the same name."""

    name: str
    section: str
    score: float


class TaskSummary(Value):
    """The data: layout (e.g. `aligned`), direction (`BtoA`), height and width in pixels, images in each split."""

    name: str
    digest: str
    layout: str
    direction: str
    size: Size
    counts: dict[str, int]


class StageTime(Value):
    """One finished stage: wall time in seconds, and optimizer steps where it trains."""

    name: str
    seconds: float
    steps: int | None = None


class DeliveredLatency(Value):
    """The latency of the compressed network where the budget bounds it.

    Attributes:
        asked_ms, predicted_ms: the bound, and what the latency model said.
        measured_ms: median of one image, as if the machine were as quiet as when the model was measured.
        ratio: the same as a multiple of the reference's time, in the same turns.
        runtime: its name and version.
        busy: whether others had the machine while it was measured.
        model: how good the latency model is, in words.
    """

    asked_ms: float
    predicted_ms: float
    measured_ms: float
    ratio: float
    runtime: str
    threads: int
    machine: Machine
    busy: bool
    model: str

    @property
    def over(self) -> float:
        """By what share it takes longer than was asked."""
        return self.measured_ms / self.asked_ms - 1

    @property
    def text(self) -> str:
        """One line."""
        asked, predicted, measured = map(number_text, (self.asked_ms, self.predicted_ms, self.measured_ms))
        figures = f"asked {asked} ms, predicted {predicted}, measured {measured} ({self.runtime}, "
        figures += f"{self.threads} thread{'s' * (self.threads > 1)}{', on a busy machine' * self.busy})"
        if self.over > TOLERATED:
            figures += f": {self.over:.0%} more than was asked; ask for less, or pick a smaller one from this run"
        return f"latency: {figures}"


class Report(Value):
    """One run.

    Attributes:
        command: the command line that repeats the run.
        budget: in words, e.g. `2.6 G MACs`.
        budget_macs: the bound on `macs`, where the budget has one: a line in the plot.
        metric: the score that the search selected by; headline and plot.
        better: for every metric that occurs, which direction is better.
        selection_split, figure_split: where candidates were compared; where the rows' scores come from.
        teacher_on_selection: the teacher's `metric` on `selection_split`, to stand beside candidates.
        differences: by metric, the 95 % interval of the compressed network's score less the teacher's, both on the
            same images; `from_scratch`, likewise less that of the network from scratch.
        guard: the share of the run's training images from which the network from scratch learnt.
        protocol: how the metrics were computed, in words.
        digest: address of the run.
        versions: of `python`, `torch`, `onnxruntime`, `pocketgan`.
        measurements: of the latencies of the networks; the first is that of the rows, and none is forgotten when
            the report is made again.
        latencies_on: the runtime and the machine that measured the candidates' latencies, in words.
        latency: that of the compressed network, where the budget bounds it.
        examples: the images shown, with their scores.
        run: the folder of the run as it was named, for the commands that go on from it.
        tuned: whether the compressed network was trained further after the search had scored it.
    """

    title: str
    recipe: str
    command: str
    task: TaskSummary
    budget: str
    budget_macs: int | None = None
    metric: str
    better: dict[str, Better]
    selection_split: str
    figure_split: str
    teacher_on_selection: float | None = None
    differences: dict[str, tuple[float, float]] = {}
    from_scratch: dict[str, tuple[float, float]] = {}
    guard: float | None = None
    protocol: str = ""
    rows: tuple[Row, ...]
    candidates: tuple[CandidatePoint, ...] = ()
    latencies_on: str = ""
    latency: DeliveredLatency | None = None
    examples: tuple[Example, ...] = ()
    run: str = ""
    tuned: bool = False
    stages: tuple[StageTime, ...] = ()
    notes: tuple[str, ...] = ()
    seed: int
    digest: str
    versions: dict[str, str]
    machine: Machine
    measurements: tuple[Measurement, ...] = ()
    date: datetime

    @model_validator(mode="after")
    def _every_metric_has_a_direction(self) -> "Report":
        used = {self.metric}.union(*(r.scores for r in self.rows), *(c.scores for c in self.candidates))
        if missing := sorted(used - self.better.keys()):
            raise ValueError(f"metrics without a direction in `better`: {', '.join(missing)}")
        return self

    def first(self, kind: str) -> Row | None:
        """The first row of `kind`, if there is one."""
        return next((row for row in self.rows if row.kind == kind), None)

    def scored(self) -> tuple[CandidatePoint, ...]:
        """The candidates with a finite `metric`: those that can be drawn."""
        return tuple(c for c in self.candidates if math.isfinite(c.scores.get(self.metric, math.nan)))

    def front(self) -> tuple[CandidatePoint, ...]:
        """The non-dominated candidates in `macs` and `metric`, cheapest first."""
        scored, sign = self.scored(), self.sign
        return tuple(scored[i] for i in front_of([(c.macs, sign * c.scores[self.metric]) for c in scored]))

    def decides(self, metric: str, split: str) -> bool:
        """Whether a split has images enough for a verdict by a metric."""
        return decides(metric, self.task.counts.get(split, 0))

    @property
    def sign(self) -> int:
        """What turns the `metric` so that lower is better: 1 or -1."""
        return 1 if self.better[self.metric] == "lower" else -1
