"""Carrying out a recipe: its stages, then the run folder that the user takes away.

A run folder holds `report.html`, `report.json`, `model/`, `export/`, and the store of the stages in `stages/`.
"""

from __future__ import annotations

import math
import os
import platform
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketgan import __version__
from pocketgan.data.batches import evaluation_batches, target_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.inputs import load_inputs
from pocketgan.data.samples import SPLITS
from pocketgan.data.task import Task
from pocketgan.deploy.latency import Latency, compare_onnx
from pocketgan.elastic.cost import cost
from pocketgan.elastic.space import Choice, DepthChoice, KernelChoice
from pocketgan.errors import DataError
from pocketgan.metrics import METRICS, Evaluation, Evaluator, compare
from pocketgan.models import load_model
from pocketgan.networks import write_numbers
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import Evaluate, Export, OnlineDistil, Train, Training
from pocketgan.pipeline.store import STAGES, Store, claim, writing
from pocketgan.recipes.recipe import Recipe, owner, read_recipe
from pocketgan.report import (
    CandidatePoint,
    Example,
    ImageRow,
    Machine,
    Report,
    Row,
    StageTime,
    TaskSummary,
    write_report,
)
from pocketgan.runtime import Runtime
from pocketgan.training.log import read_log

SHOWN = 12
WORST = 6
#: what a note calls the choices of a search
CHOSEN = {Choice: "widths", DepthChoice: "depth", KernelChoice: "kernels"}
Watch = Callable[[str, Stage, int, int], None]


def store_of(run: Path) -> Store:
    return Store(run / STAGES)


def run_recipe(recipe: Recipe, out: Path, runtime: Runtime, command: str, watch: Watch) -> Report:
    """Realise every stage (finished ones are taken as they are) and write the run folder.

    `watch` is called with (name, stage, done, total) as each stage proceeds, once with done == total == 0 before.

    Raises `OutputError` when the folder belongs to another recipe or cannot be written.
    """
    with claim(out, owner(recipe)):
        store = store_of(out)
        # every image is decoded before anything is trained: a damaged one is named at once
        for split in SPLITS:
            seen = partial(watch, f"images of {split}", recipe.teacher)
            load_examples(recipe.task, split, store.cache, training=split == "train", progress=seen)
        for name, stage in recipe.stages.items():
            if isinstance(stage, OnlineDistil) and stage.unlabelled:
                seen = partial(watch, f"unlabelled images of the {name}", stage)
                load_inputs(stage.unlabelled, stage.task, stage.splits, store.cache, seen)
        _try_metrics(recipe, store, runtime)
        for name, stage in recipe.stages.items():
            watch(name, stage, 0, 0)
            store.realise(stage, runtime, partial(watch, name))
        with writing(out):
            return finish(recipe, out, command)


def _try_metrics(recipe: Recipe, store: Store, runtime: Runtime) -> None:
    """Raise what would only show after hours of training: missing weights, images too small for a metric."""
    examples = load_examples(recipe.task, "select", store.cache, training=False)
    few = next(evaluation_batches(examples, 16))
    targets = None if recipe.task.paired else [next(target_batches(examples, 16))]
    metrics = recipe.scores(recipe.result).metrics

    def any_image(x: Tensor) -> Tensor:
        return torch.zeros(len(x), 3, *recipe.task.size)

    Evaluator([few], metrics=metrics, targets=targets, teacher=any_image, weights=runtime.weights)(any_image)


def finish(recipe: Recipe, out: Path, command: str) -> Report:
    """Copy what the user takes away, measure latencies side by side, write the report."""
    store = store_of(out)
    exports = {}
    for name, network in recipe.networks.items():
        source = store.artifact(Export(network=network, task=recipe.task)) / "model.onnx"
        exports[name] = _replace_file(source, out / "export" / f"{name}.onnx")
    _replace_folder(store.artifact(recipe.result) / "model", out / "model")
    latencies = compare_onnx(list(exports.values()), recipe.task.size, threads=1)
    report = _report(recipe, store, dict(zip(exports, latencies, strict=True)), command)
    write_report(
        out,
        report,
        _grids(recipe, store, report),
        loss_curves={name: _curves(store, s) for name, s in recipe.stages.items() if isinstance(s, Training)},
    )
    return report


def teacher_of(run: Path) -> Path:
    """Where a run keeps its teacher, with its discriminator beside. Raises `DataError` when it is not trained."""
    recipe = read_recipe(run)
    if store_of(run).status(recipe.teacher) != "finished":
        raise DataError(f"the teacher of the run in {run} is not finished; run its command again to go on with it")
    return store_of(run).artifact(recipe.teacher)


def finished_recipe(run: Path) -> Recipe:
    """The recipe of a run folder. Raises `DataError` when there is none, or the run is not finished."""
    recipe = read_recipe(run)
    unfinished = [name for name, stage in recipe.stages.items() if store_of(run).status(stage) != "finished"]
    if unfinished:
        raise DataError(
            f"the run in {run} is not finished ({', '.join(unfinished)} left); "
            "run its command again to go on with it"
        )
    return recipe


def report_again(out: Path, command: str) -> Report:
    """Write the report of a finished run anew. Raises `DataError` when the run is not finished."""
    recipe = finished_recipe(out)
    with claim(out, owner(recipe)), writing(out):
        return finish(recipe, out, command)


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


def _scores(store: Store, stage: Evaluate) -> Evaluation:
    return stage.load(store.artifact(stage))


def _report(recipe: Recipe, store: Store, latencies: dict[str, Latency], command: str) -> Report:
    import onnxruntime

    task, metric = recipe.task, recipe.metric
    evaluations = [_scores(store, recipe.scores(network)) for network in recipe.networks.values()]
    rows = [row_of(recipe, store, name, network, latencies[name]) for name, network in recipe.networks.items()]
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
        differences={each.metric: each.interval for each in compare(evaluations[0], evaluations[-1])},
        protocol="held-out: images rounded to 8 bits; 95 % bootstrap intervals over the test images, of changes "
        "over the same images for both; one training seed",
        rows=tuple(rows),
        **_searched(recipe, store),
        examples=tuple(
            Example(name=name, section=section, score=score)
            for section, shown in _shown(recipe, store).items()
            for name, score in shown.items()
        ),
        stages=tuple(
            StageTime(name=name, seconds=store.seconds(stage), steps=_steps(store, stage))
            for name, stage in recipe.stages.items()
        ),
        notes=(
            f"splits: {task.split_note}",
            *_notes(recipe, store),
        ),
        seed=recipe.distillation.seed,
        digest=recipe.digest,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "pocketgan": __version__,
        },
        machine=Machine.here(),
        date=datetime.now(UTC),
    )


def _searched(recipe: Recipe, store: Store) -> dict[str, Any]:
    """What the search found, as arguments of `Report`; nothing where there was none."""
    if recipe.search is None:
        return {}
    choice = recipe.search.load(store.artifact(recipe.search))
    front = recipe.front.load(store.artifact(recipe.front)) if recipe.front else None
    candidates = tuple(
        CandidatePoint(
            genome=recipe.search.space.text(c.genome),
            **c.costs,
            scores={metric: math.nan if score is None else score for metric, score in c.scores.items()},
            feasible=True,
            chosen=c.genome == choice.best.genome,
            latency_ms=front.latencies.get(c.genome) if front else None,
        )
        for c in choice.candidates
    )
    return {"candidates": candidates, "latencies_on": front.measured_on if front else ""}


def row_of(recipe: Recipe, store: Store, name: str, network: Any, latency: Latency) -> Row:
    """A finished network of the recipe, measured in full."""
    folder = store.artifact(network) / "model"
    spec, scores = load_model(folder).spec, _scores(store, recipe.scores(network))
    return Row(
        name=name,
        kind="teacher" if network == recipe.teacher else "compressed" if network == recipe.result else "other",
        **cost(spec, *recipe.task.size),
        size_bytes=(folder / "weights.safetensors").stat().st_size,
        latency_ms=latency.median_ms,
        latency_runtime=f"{latency.runtime}, {latency.threads} thread",
        scores=scores.scores,
        intervals=scores.intervals,
        digest=network.digest,
        genome=write_numbers(spec.genome),
    )


def _notes(recipe: Recipe, store: Store) -> list[str]:
    """What else a reader must know."""
    trained = recipe.distillation
    choices = recipe.search.space.choices if recipe.search else ()
    chosen = [what for kind, what in CHOSEN.items() if any(isinstance(choice, kind) for choice in choices)]
    if isinstance(trained, OnlineDistil) and isinstance(trained.objective, BurstSettings):
        chosen.append("the teacher of each turn")
    notes = ["Every figure of the tables is from the test split."]
    if chosen:
        notes.append(f"Chosen on the selection split: {', '.join(chosen)}.")
    if sight := trained.sight:
        whose = "weights that were given" if sight.content else "its published weights"
        notes.append(f"The perceptual terms look through {sight.network} with {whose}.")
    if isinstance(recipe.teacher, Train) and "select" in recipe.teacher.splits:
        notes.append("The teacher and the fine-tuning learnt from the selection split too, as in the papers.")
    elif recipe.tuned and "select" in recipe.tuned.splits:
        notes.append("The fine-tuning learnt from the selection split too.")
    if recipe.student and "select" in recipe.student.splits:
        notes.append("Teachers and student learnt from the selection split too, as in the paper.")
    for network in recipe.networks.values():
        notes += _scores(store, recipe.scores(network)).warnings
    return list(dict.fromkeys(notes))


def _shown(recipe: Recipe, store: Store) -> dict[str, dict[str, float]]:
    """For each section of the image grid: the images in it with the compressed network's score (L1)."""
    scores = _scores(store, recipe.scores(recipe.result))
    errors = dict(zip(scores.names, scores.per_image[_score_shown(recipe)], strict=True))
    every = max(1, len(scores.names) // SHOWN)
    worst = sorted(scores.names, key=errors.__getitem__, reverse=True)[:WORST]
    return {
        "Test images": {name: errors[name] for name in scores.names[::every][:SHOWN]},
        "Worst cases": {name: errors[name] for name in worst},
    }


def _score_shown(recipe: Recipe) -> str:
    """What a single image is judged by: the truth, or for want of one the teacher."""
    return "l1" if recipe.task.paired else "teacher_l1"


def _grids(recipe: Recipe, store: Store, report: Report) -> list[ImageRow]:
    task = recipe.task
    examples = load_examples(task, "test", store.cache, training=False)
    made = {
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
            **{name: own[place] for name, own in made.items()},
        }
        if task.paired:
            images["ground truth"] = examples.targets.pictures([place])[0]
        caption = f"{words} {example.score:.3f}"
        rows.append(ImageRow(name=example.name, caption=caption, section=example.section, images=images))
    return rows


def _curves(store: Store, stage: Stage) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in read_log(store.home(stage) / "log.jsonl"):
        for name in line.keys() - {"step", "epoch", "images_per_second"}:
            curves.setdefault(name, []).append((line["step"], line[name]))
    return dict(sorted(curves.items()))


def _steps(store: Store, stage: Stage) -> int | None:
    if not isinstance(stage, Training):
        return None
    lines = read_log(store.home(stage) / "log.jsonl")
    return lines[-1]["step"] if lines else None


def _replace_file(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target.with_name(target.name + ".part"))
    os.replace(target.with_name(target.name + ".part"), target)
    return target


def _replace_folder(source: Path, target: Path) -> None:
    temporary = target.with_name(target.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
