"""What a finished run has to tell: its report, the images in it, and the curves of its losses."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from pocketgan import __version__
from pocketgan.data.cache import load_examples
from pocketgan.data.task import Task
from pocketgan.deploy.latency import Latency
from pocketgan.elastic.cost import cost
from pocketgan.errors import DataError
from pocketgan.metrics import METRICS, Evaluation, compare
from pocketgan.models import load_model
from pocketgan.networks import write_numbers
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.training import Training
from pocketgan.report import CandidatePoint, Example, ImageRow, Machine, Report, Row, StageTime, TaskSummary
from pocketgan.report.measurement import Measurement
from pocketgan.runs.latency import delivered_latency
from pocketgan.training.log import read_log

SHOWN = 12
WORST = 6


def report_of(
    recipe: Recipe, store: Store, run: Path, measurements: tuple[Measurement, ...], command: str
) -> Report:
    """The report of finished stages. `run`: their folder. `measurements`: of latencies, the first to report."""
    import onnxruntime

    delivered = delivered_latency(recipe, store)
    told = (delivered.text, delivered.model) if delivered else ()

    task, metric = recipe.task, recipe.metric
    evaluations = {name: _scores(store, recipe.scores(network)) for name, network in recipe.scored.items()}
    first = measurements[0]
    rows = [
        row_of(recipe, store, name, network, first.latencies.get(name), first.where)
        for name, network in recipe.scored.items()
    ]
    if recipe.published:
        costs: dict[str, Any] = cost(recipe.published, *task.size)
        rows.insert(0, Row(name="the papers' generator", kind="published", **costs, scores={}, digest=""))
    small, guard = evaluations["compressed"], recipe.guard
    on_select = _scores(store, recipe.scores(recipe.teacher, "select"))
    return Report(
        title=recipe.name,
        recipe=f"{recipe.name} ({recipe.method})",
        command=command,
        task=summary_of(task),
        budget=str(recipe.budget),
        budget_macs=recipe.budget.macs,
        metric=metric,
        better={name: METRICS[name].better for row in rows for name in row.scores},
        selection_split="select",
        figure_split="test",
        teacher_on_selection=on_select.scores.get(metric),
        differences={each.metric: each.interval for each in compare(evaluations["teacher"], small)},
        from_scratch={
            each.metric: each.interval
            for name in ([recipe.roles.guard] if recipe.roles.guard else [])
            for each in compare(evaluations[name], small)
        },
        guard=guard.images / sum(each.images for each in recipe.trainings if each != guard) if guard else None,
        protocol="held-out: images rounded to 8 bits; 95 % bootstrap intervals over the test images, of changes "
        "over the same images for both; one training seed",
        rows=tuple(rows),
        **_search_of(recipe, store),
        examples=tuple(_examples(recipe, store)),
        run=str(run),
        tuned=recipe.search is not None and not isinstance(recipe.result, Pick),
        stages=tuple(
            StageTime(name=name, seconds=store.seconds(stage), steps=stage.steps or None)
            for name, stage in recipe.all_stages.items()
        ),
        latency=delivered,
        notes=tuple(dict.fromkeys((*told, *_notes(recipe, store)))),
        seed=recipe.seed,
        digest=recipe.digest,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "pocketgan": __version__,
        },
        machine=Machine.here(),
        measurements=measurements,
        date=datetime.now(UTC),
    )


def read_report(run: Path) -> Report:
    """The report that a finished run left. Raises `DataError` where there is none, or it is damaged."""
    try:
        return Report.model_validate_json((run / "report.json").read_text())
    except FileNotFoundError:
        raise DataError(f"{run} has no report.json; write it with `pocketgan report {run}`") from None
    except ValidationError as error:
        raise DataError(f"{run}/report.json is damaged; write it with `pocketgan report {run}`") from error


def summary_of(task: Task) -> TaskSummary:
    """What a report says of its data."""
    return TaskSummary(
        name=task.root.name,
        digest=task.data_digest,
        layout=task.layout,
        direction=task.direction,
        size=task.size,
        counts={str(split): count for split, count in task.counts().items()},
    )


def row_of(recipe: Recipe, store: Store, name: str, network: Any, latency: Latency | None, where: str) -> Row:
    """A finished network of the recipe, measured in full. `where`: on what its latency was measured."""
    folder = store.artifact(network) / "model"
    spec, scores = load_model(folder).spec, _scores(store, recipe.scores(network))
    return Row(
        name=name,
        kind=_kind(recipe, network),
        **cost(spec, *recipe.task.size),
        size_bytes=(folder / "weights.safetensors").stat().st_size,
        latency_ms=latency.median_ms if latency else None,
        latency_runtime=where if latency else "",
        scores=scores.scores,
        intervals=scores.intervals,
        digest=network.digest,
        subnet=write_numbers(spec.genome),
    )


def _kind(recipe: Recipe, network: Any) -> Any:
    kinds = {recipe.result: "compressed", recipe.guard: "scratch", recipe.teacher: "teacher"}
    return kinds.get(network, "other")


def _scores(store: Store, stage: Evaluate) -> Evaluation:
    return stage.load(store.artifact(stage))


def _search_of(recipe: Recipe, store: Store) -> dict[str, Any]:
    """The candidates of the search, as arguments of `Report`; nothing where there was none."""
    if recipe.search is None:
        return {}
    result = recipe.search.load(store.artifact(recipe.search))
    front = recipe.front_latency and recipe.front_latency.load(store.artifact(recipe.front_latency))
    candidates = tuple(
        CandidatePoint(
            subnet=recipe.search.space.text(c.genome),
            **c.costs,
            scores={metric: math.nan if score is None else score for metric, score in c.scores.items()},
            chosen=c.genome == result.best.genome,
            latency_ms=front.latencies.get(c.genome) if front else None,
        )
        for c in result.whole
    )
    return {"candidates": candidates, "latencies_on": front.measured_on if front else ""}


def _notes(recipe: Recipe, store: Store) -> Iterator[str]:
    """What else a reader must know."""
    yield f"data: {recipe.task.pairing_note}"
    yield f"splits: {recipe.task.split_note}"
    if recipe.task.values_note:
        yield f"images of {recipe.task.values_note}"
    if {recipe.task.a.channels, recipe.task.b.channels} - {1, 3}:
        yield "Pictures, and metrics and terms that look through a feature network, show the first three channels."
    if recipe.task.sight_note:
        yield f"training saw {recipe.task.sight_note}"
    yield "Every figure of the tables is from the test split."
    yield from recipe.notes()
    for network in recipe.scored.values():
        yield from _scores(store, recipe.scores(network)).warnings


def _examples(recipe: Recipe, store: Store) -> Iterator[Example]:
    """The images of the grid, each with the compressed network's L1: to the truth, or for want of one to the
    teacher's image."""
    scores = _scores(store, recipe.scores(recipe.result))
    errors = dict(zip(scores.names, scores.per_image["l1" if recipe.task.paired else "teacher_l1"], strict=True))
    every = max(1, len(scores.names) // SHOWN)
    worst = sorted(scores.names, key=errors.__getitem__, reverse=True)[:WORST]
    for section, names in (("Test images", scores.names[::every][:SHOWN]), ("Worst cases", worst)):
        for name in names:
            yield Example(name=name, section=section, score=errors[name])


def grids(recipe: Recipe, store: Store, report: Report) -> list[ImageRow]:
    """The pictures of the report's examples."""
    task = recipe.task
    examples = load_examples(task, "test", store.cache, training=False)
    generated = {
        name: np.load(store.artifact(recipe.scores(network)) / "images.npy")
        for name, network in recipe.networks.items()
    }
    places = {name: place for place, name in enumerate(examples.sources.names)}
    words = "L1" if task.paired else "L1 to the teacher"
    rows = []
    for example in report.examples:
        place = places[example.name]
        images = {
            "input": examples.sources.pictures([place])[0],
            **{name: own[place] for name, own in generated.items()},
        }
        if task.paired:
            images["ground truth"] = examples.targets.pictures([place])[0]
        caption = f"{words} {example.score:.3f}"
        rows.append(ImageRow(name=example.name, caption=caption, section=example.section, images=images))
    return rows


def loss_curves(recipe: Recipe, store: Store) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """For each stage that trains: its losses by name, as (step, value)."""
    return {name: _curves(store, stage) for name, stage in recipe.stages.items() if isinstance(stage, Training)}


def _curves(store: Store, stage: Stage) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in read_log(store.beside(stage, "log.jsonl")):
        for name in line.keys() - {"step", "epoch", "images_per_second"}:
            curves.setdefault(name, []).append((line["step"], line[name]))
    return dict(sorted(curves.items()))
