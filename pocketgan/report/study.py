"""What a study has to tell, as data: `study.json` is a `StudyReport`."""

from datetime import datetime
from typing import Any, Literal

from pocketgan.deploy.machine import Machine
from pocketgan.metrics.catalog import Better
from pocketgan.report.model import TaskSummary, Value

Outcome = Literal["seen", "not seen", "may be noise"]


class Member(Value):
    """One network of a study, of one seed.

    Attributes:
        macs: multiply-accumulates of one image, by the papers' convention; `true_macs` exact.
        scores: by metric, on the test split.
        processor_seconds: of all stages that led to it.
        subnet: widths, e.g. `32_32_48_32_48_48_16_16`.
        digest: address of the stage that left it.
    """

    seed: int
    params: int
    macs: int
    true_macs: int
    scores: dict[str, float]
    processor_seconds: float
    subnet: str
    digest: str


class StudyPoint(Value):
    """The networks of one recipe over the seeds: their mean scores, with 95 % intervals over seeds and images."""

    series: str
    place: str
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    members: tuple[Member, ...]

    def mean(self, field: str) -> float:
        """The mean over the members of a cost, or of the processor seconds."""
        return sum(getattr(member, field) for member in self.members) / len(self.members)


class CurveMember(Value):
    """One search of one seed: the best score after 1, 2, ... evaluations, on the selection split."""

    seed: int
    best: tuple[float, ...]
    processor_seconds: float
    digest: str


class Curve(Value):
    """The searches of one strategy over the seeds: the mean of the best score after 1, 2, ... evaluations, with its
    95 % intervals over the seeds. `exhaustive`: every network was scored, so that no search ends better."""

    series: str
    place: str
    mean: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    members: tuple[CurveMember, ...]
    exhaustive: bool = False


class Verdict(Value):
    """Whether one series was better than another at a place, as claimed.

    Attributes:
        difference: `better` less `worse`, in the metric's own direction; `interval` is its 95 % one.
        outcome: "seen" where the interval lies on the claimed side of 0, "not seen" where on the other side.
        seeds_for: in how many of `seeds` the order was the claimed one.
    """

    better: str
    worse: str
    place: str
    metric: str
    difference: float
    interval: tuple[float, float]
    outcome: Outcome
    seeds_for: int
    seeds: int


class StudyReport(Value):
    """A study, over the seeds that are finished.

    Attributes:
        about: the question; `source` is where a paper answers it.
        axis: what stands on the plot's axis: MACs, places or evaluations.
        metric: of the plot.
        better: for every metric, which direction is better.
        seconds: processor time of one contestant that was aimed at.
        settings: everything that the contestants share.
        pace: processor seconds of one step, by kind of training, that the lengths of the trainings follow from.
    """

    name: str
    about: str
    source: str
    command: str
    task: TaskSummary
    axis: Literal["macs", "place", "evaluations"]
    metric: str
    better: dict[str, Better]
    seeds: tuple[int, ...]
    seconds: float
    points: tuple[StudyPoint, ...] = ()
    curves: tuple[Curve, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    settings: dict[str, Any]
    pace: dict[str, float]
    notes: tuple[str, ...] = ()
    versions: dict[str, str]
    machine: Machine
    date: datetime

    @property
    def series(self) -> tuple[str, ...]:
        """Every series, in the order of the study."""
        every: tuple[StudyPoint | Curve, ...] = (*self.points, *self.curves)
        return tuple(dict.fromkeys(each.series for each in every))

    @property
    def places(self) -> tuple[str, ...]:
        every: tuple[StudyPoint | Curve, ...] = (*self.points, *self.curves)
        return tuple(dict.fromkeys(each.place for each in every))

    @property
    def headlines(self) -> tuple[Verdict, ...]:
        """The verdicts by the metric of the plot."""
        return tuple(verdict for verdict in self.verdicts if verdict.metric == self.metric)


def outcome_of(interval: tuple[float, float], better: Better) -> Outcome:
    """What the interval of (claimed better less claimed worse) says."""
    low, high = interval if better == "lower" else (-interval[1], -interval[0])
    return "seen" if high < 0 else "not seen" if low > 0 else "may be noise"
