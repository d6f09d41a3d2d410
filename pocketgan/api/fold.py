"""Making the norms of a finished network foldable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketgan.api.job import Job
from pocketgan.api.run import Run, carried_out, changes_of
from pocketgan.data.labels import LabelMaps
from pocketgan.data.task import Task, at_size, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import SpecError
from pocketgan.files import path_of
from pocketgan.models import Model, find_model
from pocketgan.pipeline.owner import MARK
from pocketgan.pipeline.recipe import Recipe, read_recipe
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.progress import Show
from pocketgan.recipes.changes import changed, check_used
from pocketgan.recipes.fold import FoldSettings, schedule_for
from pocketgan.runtime import Runtime
from pocketgan.units import Size, both_sides


def fold(
    model: Path | str,
    data: Path | str | None = None,
    *,
    images: int = 2000,
    size: int | Size | None = None,
    out: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: Show | None = None,
    quiet: bool = False,
) -> Run:
    """Fine-tune a model with instance norm into one whose norms disappear in exports: as `pocketgan fold`.

    The same call goes on where an earlier one was stopped. The result's `model` is a network like another.

        faster = pg.fold("runs/demo", images=2000)
        faster.report.first("compressed").scores

    Args:
        model: a model folder or a run folder.
        data: images to learn from; default those of the run.
        images: how many training images, each time counted; whole passes over the data.
        size: side in pixels, or height and width; default the model's.
        out: run folder; default runs/MODEL-folded.
        settings, device, progress, quiet: as of `compress`.

    Raises `SpecError` for a network that has no such form, or no images; `DataError` where something is not there.
    """
    if isinstance(images, bool) or not isinstance(images, int) or images < 1:
        raise SpecError(f"images is how many training images, at least 1, not {images!r}")
    job = job_of_model(
        str(path_of(model, "the model")),
        data=None if data is None else path_of(data, "data"),
        images=images,
        size=None if size is None else both_sides(size),
        out=None if out is None else path_of(out, "out"),
        changes=changes_of(settings),
        runtime=Runtime(device=device),
    )
    return carried_out(job, "fold", progress, quiet)


def job_of_model(
    model: str,
    *,
    data: Path | None,
    images: int,
    size: Size | None,
    out: Path | None,
    changes: Sequence[str],
    runtime: Runtime,
) -> Job:
    """What is to be done. See `fold`."""
    found = find_model(model)
    folder = Path(model)
    if not folder.is_dir():
        raise SpecError(f"{model} is a network with fresh weights; give a model folder or a run folder")
    teacher = TeacherFile.of(folder)
    task = _task(folder, found, data, size)
    base = FoldSettings(schedule=schedule_for(images, task.epoch()))
    name = folder.resolve().name

    def recipe_of(settings: FoldSettings) -> Recipe:
        return settings.recipe(name, task, Budget(), teacher)

    check_used(base, list(changes), recipe_of)
    out = out or Path("runs") / f"{name}-folded"
    return Job(changed(base, list(changes)), recipe_of, changes, out, runtime, less="--images or --size")


def _task(folder: Path, model: Model, data: Path | None, size: Size | None) -> Task:
    """The images that a model learns from: as those of its training."""
    run = (folder / MARK).is_file()
    if data is None and not run:
        raise SpecError(f"{folder} is a model folder, which names no images; name them with --data")
    if data is None:
        task = read_recipe(folder).task
        return at_size(task, size) if size else task
    told, way = model.card.get("labels"), model.card.get("direction", "AtoB")
    return open_task(
        data,
        direction=way,
        size=size or model.size,
        **(model.sight if not size or "crop" in model.sight else {}),
        labels=LabelMaps.model_validate(told) if told else None,
        values=model.domains(way),
    )
