"""The images on which an export is verified and calibrated: held out of the training, and none of the test."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from jaxtyping import Float
from torch import Tensor

from pocketgan.data.batches import evaluation_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.labels import LabelMaps
from pocketgan.data.task import Task, open_task
from pocketgan.errors import DataError, SpecError
from pocketgan.models import Model, is_model
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.units import Size


def selection_of(
    text: str, model: Model, size: Size, data: Path | None = None, most: int = 128
) -> Float[Tensor, "batch channels height width"] | None:
    """Inputs of the selection split: of `data`, else of the run that `text` names; None where there are neither.

    Raises `DataError` for `data` that cannot be used, `SpecError` for ones of another kind than the model's.
    """
    run = Path(text)
    task = None
    if data is not None:
        told, way = model.card.get("labels"), model.card.get("direction", "AtoB")
        labels = LabelMaps.model_validate(told) if told else None
        sight = model.sight if size == model.size else {}
        task = open_task(data, direction=way, size=size, **sight, labels=labels, values=model.domains(way))
    elif run.is_dir() and not is_model(run):
        try:
            task = read_recipe(run).task.model_copy(update={"size": size})
        except DataError:
            return None  # the run was moved or its images were: they may be named with --data
    if task is None:
        return None
    if task.in_channels != model.spec.in_channels:
        raise SpecError(
            f"the model takes {model.spec.in_channels} channels, and {task.root} holds {task.in_channels}; "
            "name images of its own kind with --data"
        )
    return inputs_of(task, most)


def inputs_of(task: Task, most: int) -> Float[Tensor, "batch channels height width"]:
    """At most so many inputs of the selection split, as the network takes them."""
    with TemporaryDirectory() as cache:
        return next(evaluation_batches(load_examples(task, "select", Path(cache), training=False), most)).x
