"""Carrying out a recipe: its stages, then the run folder that the user takes away.

A run folder holds `report.html`, `report.json`, `model/`, `export/`, and the store of the stages in `stages/`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pocketgan.data.cache import load_examples
from pocketgan.data.inputs import load_inputs
from pocketgan.data.samples import SPLITS
from pocketgan.errors import DataError, OutputError
from pocketgan.files import replacing
from pocketgan.metrics.on_task import task_evaluator
from pocketgan.metrics.resident import BATCH
from pocketgan.pipeline.export import Export
from pocketgan.pipeline.latency_model import ModelLatency
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.owner import EXPORT, MARK, STAGES, Owner, claim, read_mark
from pocketgan.pipeline.recipe import Recipe, owner, read_recipe
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.store import Store, writing
from pocketgan.pipeline.timing import Stopwatch
from pocketgan.report import Report, write_report
from pocketgan.runs.latency import copy_export
from pocketgan.runs.measurements import measurements_of
from pocketgan.runs.report import grids, loss_curves, read_report, report_of
from pocketgan.runtime import Runtime
from pocketgan.search import reach

Watch = Callable[[str, Stage, int, int], None]


def store_of(run: Path, chosen: Path | None = None) -> Store:
    """Where the stages of a run are: in the store that is chosen, else in that which it names, else in its own.

    Raises `DataError` where that one is gone.
    """
    if chosen is None and (run / MARK).is_file() and (named := read_mark(run / MARK).get("store")):
        chosen = Path(named)
        if not chosen.is_dir():
            raise DataError(f"the store of {run} is no longer in {named}; put it back, or name it with --store")
    return Store(chosen or run / STAGES)


def owner_of(recipe: Recipe, run: Path, store: Store) -> Owner:
    """What marks the run folder: also where its store is, if that is not in it."""
    mine = owner(recipe)
    elsewhere = {} if store.folder == run / STAGES else {"store": str(store.folder.resolve())}
    return mine._replace(content={**elsewhere, **mine.content})


def estimate_seconds(recipe: Recipe, store: Store, runtime: Runtime) -> dict[str, float]:
    """Seconds for each stage of the recipe that is not finished; 0 for the others."""
    watch = Stopwatch(runtime)
    return {
        name: 0.0 if store.status(stage) == "finished" else stage.seconds(watch)
        for name, stage in recipe.all_stages.items()
    }


def run_recipe(recipe: Recipe, out: Path, runtime: Runtime, command: str, watch: Watch) -> Report:
    """Realise every stage (finished ones are taken as they are) and write the run folder.

    Where several processes carry out the run, all call it; the first one claims the folder and writes.

    `watch` is called with (name, stage, done, total) as each stage proceeds, once with done == total == 0 before.

    Raises `OutputError` when the folder belongs to another recipe or cannot be written.
    """
    store, world = store_of(out, runtime.store), runtime.world
    if not world.leads:
        return _help(recipe, out, runtime, watch)
    with claim(out, owner_of(recipe, out, store)):
        _decode(recipe, store, watch)
        if world.size > 1:
            world.first(lambda: [recipe.digest, (out / MARK).read_text()])
        if runtime.storage and recipe.search and store.status(recipe.search) != "finished":
            reach(runtime.storage)
        _try_metrics(recipe, store, runtime)
        for name, stage in recipe.all_stages.items():
            watch(name, stage, 0, 0)
            store.realise(stage, runtime, partial(watch, name))
            if isinstance(stage, ModelLatency):  # it comes first
                stage.check(recipe.budget, store)
        with writing(out):
            report = finish(recipe, out, command)
        world.wait()
        return report


def _help(recipe: Recipe, out: Path, runtime: Runtime, watch: Watch) -> Report:
    """What all processes but the first one do. Raises `OutputError` or `DataError` where one does not see what the
    first one does."""
    store, world = store_of(out, runtime.store), runtime.world
    told: list[str] = world.first(list)
    digest, mark = told
    if not (out / MARK).is_file() or (out / MARK).read_text() != mark:
        raise OutputError(
            f"{out} is another folder for process {world.rank} than for the first one; choose an --out that all "
            "machines share"
        )
    if recipe.digest != digest:
        raise DataError(
            f"process {world.rank} reads other images or settings than the first one (recipe {recipe.digest[:12]}, "
            f"not {digest[:12]}); give all machines the same data and the same version"
        )
    _try_metrics(recipe, store, runtime)
    for name, stage in recipe.all_stages.items():
        store.realise(stage, runtime, partial(watch, name))
    world.wait()
    return read_report(out)


def _decode(recipe: Recipe, store: Store, watch: Watch) -> None:
    """Decode every image before anything is trained: a damaged one is named at once."""
    for split in SPLITS:
        seen = partial(watch, f"images of {split}", recipe.teacher)
        load_examples(recipe.task, split, store.cache, training=split == "train", progress=seen)
    for name, stage in recipe.stages.items():
        if isinstance(stage, OnlineDistil) and stage.unlabelled:
            seen = partial(watch, f"unlabelled images of the {name}", stage)
            load_inputs(stage.unlabelled, stage.task, stage.splits, store.cache, seen)


def _try_metrics(recipe: Recipe, store: Store, runtime: Runtime) -> None:
    """Raise what would only show after hours of training: missing weights, images too small for a metric."""

    def any_image(x: Tensor) -> Tensor:
        return torch.zeros(len(x), recipe.task.out_channels, *recipe.task.size, device=x.device)

    evaluator = task_evaluator(
        recipe.task,
        "select",
        store.cache,
        most=BATCH,
        device=runtime.place,
        metrics=recipe.scores(recipe.result).metrics,
        teacher=any_image,
        weights=runtime.weights,
    )
    evaluator(any_image)


def finish(recipe: Recipe, out: Path, command: str) -> Report:
    """Copy what the user takes away, measure latencies side by side unless that was done, write the report."""
    store, exports = store_of(out), {}
    (out / EXPORT).mkdir(exist_ok=True)
    for name, network in recipe.networks.items():
        export = Export(network=network, task=recipe.task)
        copy_export(store, export, out / EXPORT / name)
        exports[name] = (out / EXPORT / name).with_suffix(Path(export.file).suffix)
    if recipe.served:
        copy_export(store, recipe.served, out / EXPORT / "compressed")
    with replacing(out / "model") as part:
        shutil.copytree(store.artifact(recipe.result) / "model", part)
    report = report_of(recipe, store, out, measurements_of(recipe, out, exports), command)
    write_report(out, report, grids(recipe, store, report), loss_curves=loss_curves(recipe, store))
    return report


def export_of(recipe: Recipe, store: Store, network: Any) -> Path:
    """The file of a finished network for the runtime that serves it."""
    export = Export(network=network, task=recipe.task)
    return store.artifact(export) / export.file


def teacher_of(run: Path) -> Path:
    """Where a run keeps its teacher, with its discriminator beside. Raises `DataError` when it is not trained."""
    recipe = read_recipe(run)
    if store_of(run).status(recipe.teacher) != "finished":
        raise DataError(f"the teacher of the run in {run} is not finished; run its command again to go on with it")
    return store_of(run).artifact(recipe.teacher)


def finished_recipe(run: Path, data: Path | None = None) -> Recipe:
    """The recipe of a run folder. Raises `DataError` when there is none, or the run is not finished."""
    recipe = read_recipe(run, data)
    store = store_of(run)
    status = {name: store.status(stage) for name, stage in recipe.all_stages.items()}
    if left := [name + " damaged" * (each == "damaged") for name, each in status.items() if each != "finished"]:
        raise DataError(
            f"the run in {run} is not finished ({', '.join(left)} left); run its command again to go on with it"
        )
    return recipe


def report_again(out: Path, command: str, data: Path | None = None) -> Report:
    """Write the report of a finished run anew. Raises `DataError` when the run is not finished."""
    recipe = finished_recipe(out, data)
    with claim(out, owner_of(recipe, out, store_of(out))), writing(out):
        return finish(recipe, out, command)
