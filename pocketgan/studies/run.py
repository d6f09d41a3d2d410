"""Carrying out a study: every contestant of every seed, their scores on the test split, and the verdicts.

A study folder holds `study.html`, `study.json`, `study.md`, the plot, and `stages/`: the store of the stages, with
`pace.json`. Seeds may be added later.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pocketgan import __version__
from pocketgan.data.cache import load_examples
from pocketgan.data.samples import SPLITS
from pocketgan.deploy.machine import Machine
from pocketgan.elastic.cost import cost
from pocketgan.metrics import METRICS, Evaluation
from pocketgan.metrics.pool import pool
from pocketgan.models import load_model
from pocketgan.networks import write_numbers
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.owner import STAGES, Owner, claim
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.store import Store, writing
from pocketgan.report.study import Curve, CurveMember, Member, StudyPoint, StudyReport
from pocketgan.report.study_page import write_study
from pocketgan.runs.report import summary_of
from pocketgan.runtime import Runtime
from pocketgan.search import Exhaustive, best_so_far
from pocketgan.studies.pace import Pace
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Point, Study
from pocketgan.studies.verdicts import curve_of, curve_verdicts, verdicts

PACE = "pace.json"
#: by the number of seeds: how often, in percent, the 95 % interval of a difference leaves out the true 0, where
#: seeds are normal and images add nothing (1500 simulations each)
FALSE_ALARMS = {2: 20, 3: 14, 4: 11, 5: 9}
Watch = Callable[[str, int, int], None]


def owner(study: Study, setting: Setting) -> Owner:
    """What marks the study's folder: the question and what all contestants share, but not which seeds."""
    content = {"study": study.name, "setting": setting.model_dump(mode="json", exclude={"seed"})}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return Owner(f"study {study.name}", digest, {**content, "data": str(setting.task.root.resolve())})


def run_study(
    study: Study,
    setting: Setting,
    out: Path,
    seeds: Sequence[int],
    runtime: Runtime,
    command: str,
    watch: Watch = lambda name, done, total: None,
) -> StudyReport:
    """Realise every contestant of every seed (finished ones are taken as they are), and write the study's report
    after each seed.

    Args:
        setting: its seed is replaced by each of `seeds`; its pace is what is known besides the folder's own.
        watch: called with (name, done, total) as each contestant proceeds.

    Raises:
        DataError, SpecError, BudgetError: the study cannot be made of these data, sizes or budgets.
        OutputError: the folder belongs to another run or study, or cannot be written.
    """
    study.check(setting)
    with claim(out, owner(study, setting)), _one_thread():
        store = Store(out / STAGES)
        with writing(out):
            pace = Pace(setting.pace.known, store.folder / PACE, runtime)
        # every image is decoded before anything is trained: a damaged one is named at once
        for split in SPLITS:
            seen = partial(watch, f"images of {split}")
            load_examples(setting.task, split, store.cache, training=split == "train", progress=seen)
        finished: dict[int, list[Point]] = {}
        for seed in seeds:
            points = study.points(setting.model_copy(update={"seed": seed, "pace": pace}))
            for point in points:
                name = f"{point.series}, {point.place}, seed {seed}"

                def shown(stage: Stage, done: int, total: int, name: str = name) -> None:
                    watch(f"{name}: {stage.kind}", done, total)

                store.realise(_wanted(point, setting), runtime, shown)
            finished[seed] = points
            report = told(study, setting.model_copy(update={"pace": pace}), store, finished, command)
            with writing(out):
                write_study(out, report)
    return report


def told(
    study: Study, setting: Setting, store: Store, finished: dict[int, list[Point]], command: str
) -> StudyReport:
    """What the finished seeds have to tell."""
    seeds = tuple(finished)
    scored: list[_Scored] = []
    curves: list[Curve] = []
    for points in zip(*finished.values(), strict=True):
        members = dict(zip(seeds, points, strict=True))
        if isinstance(points[0].network, Search):
            curves.append(_curve(store, members))
        else:
            scored.append(_scored(store, setting, members))
    task, runs = setting.task, {name for each in scored for name in each.pooled.scores}
    metrics = {study.metric, *runs, *(point.network.metric for point in next(iter(finished.values())) if curves)}
    return StudyReport(
        name=study.name,
        about=study.about,
        source=study.source,
        command=command,
        task=summary_of(task),
        axis="evaluations" if curves else study.axis,
        metric=study.metric,
        better={name: METRICS[name].better for name in sorted(metrics)},
        seeds=seeds,
        seconds=setting.seconds,
        points=tuple(each.point for each in scored),
        curves=tuple(curves),
        verdicts=(
            *verdicts(study.claims, {(each.point.series, each.point.place): each.pooled for each in scored}),
            *curve_verdicts(study.claims, study.metric, curves),
        ),
        settings=owner(study, setting).content["setting"],
        pace=setting.pace.known,
        notes=(f"data: {task.pairing_note}", f"splits: {task.split_note}", *_notes(seeds, scored)),
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pocketgan": __version__,
        },
        machine=Machine.here(),
        date=datetime.now(UTC),
    )


class _Scored(NamedTuple):
    point: StudyPoint
    pooled: Evaluation


def _wanted(point: Point, setting: Setting) -> Stage:
    """The stage that a contestant ends with: its scores, or the search that competes itself."""
    if isinstance(point.network, Search):
        return point.network
    return Evaluate(network=point.network, task=setting.task, split="test")


def _scored(store: Store, setting: Setting, points: dict[int, Point]) -> _Scored:
    """One contestant over the seeds."""
    members, evaluations = [], []
    for seed, point in points.items():
        evaluations.append(Evaluation.load(store.artifact(_wanted(point, setting))))
        spec = load_model(store.artifact(point.network) / "model").spec
        members.append(
            Member(
                seed=seed,
                **cost(spec, *setting.task.size),
                scores=evaluations[-1].scores,
                processor_seconds=spent(store, point.network),
                subnet=write_numbers(spec.genome),
                digest=point.network.digest,
            )
        )
    pooled, first = pool(evaluations), next(iter(points.values()))
    made = StudyPoint(
        series=first.series,
        place=first.place,
        scores=pooled.scores,
        intervals=pooled.intervals,
        members=tuple(members),
    )
    return _Scored(made, pooled)


def _curve(store: Store, points: dict[int, Point]) -> Curve:
    """One search strategy over the seeds."""
    members = tuple(
        CurveMember(
            seed=seed,
            best=tuple(best_so_far(point.network.load(store.artifact(point.network)))),
            processor_seconds=spent(store, point.network),
            digest=point.network.digest,
        )
        for seed, point in points.items()
    )
    first = next(iter(points.values()))
    every = isinstance(first.network.strategy, Exhaustive)
    return curve_of(first.series, first.place, members, exhaustive=every)


def spent(store: Store, stage: Stage) -> float:
    """Processor seconds of a stage and of all that led to it, each once."""
    return round(sum(store.processor_seconds(each) for each in {s.digest: s for s in _led_to(stage)}.values()), 1)


def _led_to(stage: Stage) -> Iterator[Stage]:
    yield stage
    for needed in stage.inputs():
        yield from _led_to(needed)


def _notes(seeds: Sequence[int], scored: Iterable[_Scored]) -> Iterator[str]:
    """What else a reader must know."""
    if len(seeds) == 1:
        yield "Of a single seed, intervals are over the images alone and say nothing of other seeds."
    if chance := FALSE_ALARMS.get(len(seeds)):
        yield (
            f"With {len(seeds)} seeds intervals are rather short: of two recipes that are equally good, {chance} % "
            "of the differences look real instead of 5 %."
        )
    yield from dict.fromkeys(warning for each in scored for warning in each.pooled.warnings)


@contextmanager
def _one_thread() -> Iterator[Any]:
    """Processor time says how much was computed only where no threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
