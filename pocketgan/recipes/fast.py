"""Fast GAN Compression: teacher, supernet from scratch, evolutionary search, fine-tuning.

Source: GAN Compression (TPAMI 2022), the fast pipeline: a once-for-all student is distilled straight from the
original teacher, without a mobile teacher and without pre-distillation.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import resnet_space
from pocketgan.errors import DataError, SpecError, unknown
from pocketgan.metrics.evaluate import METRICS
from pocketgan.networks import PatchSpec, ResnetSpec, parse_spec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.stages import Distil, Extract, Given, Search, Train
from pocketgan.recipes.recipe import Recipe
from pocketgan.search import AnyStrategy, Evolution
from pocketgan.training.fit import Precision
from pocketgan.training.schedule import Schedule


class FastSettings(BaseModel):
    """Every number of the method. `tuning` None leaves fine-tuning out.

    `space` names a published space or lists the options of every width, e.g. 32_24_16_8.
    """

    # a space of one width reads as a number on the command line
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    teacher: ResnetSpec = ResnetSpec.uniform(64)
    discriminator: PatchSpec = PatchSpec(width=128)
    objective: Pix2PixSettings = Pix2PixSettings()
    teaching: Schedule
    space: str = "channels-64-pix2pix"
    distillation: DistilSettings = DistilSettings()
    supernet: Schedule
    search: AnyStrategy = Evolution(mutation_probability=0.3)
    metric: str = "fd_mobilenet_v2"
    tuning: Schedule | None = None
    precision: Precision = "32-true"
    seed: int = 233

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRICS:
            raise unknown("metric", value, METRICS)
        return value

    @field_validator("teacher", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        """A teacher may be given as a spec string, e.g. resnet:48."""
        return parse_spec(value) if isinstance(value, str) else value


def _check(task: Task, settings: FastSettings) -> None:
    """Raise what would only show after hours of training."""
    settings.teacher.check_size(task.size)
    judge = settings.discriminator
    if task.size < judge.smallest_side:
        raise SpecError(
            f"size {task.size} is too small for a discriminator of {judge.layers} layers, which judges images from "
            f"{judge.smallest_side} pixels on; use --size {judge.smallest_side} or more"
        )
    if not settings.distillation.paired:
        raise SpecError("this recipe is for pairs; leave distillation.paired as it is")
    channels = settings.teacher.in_channels + settings.teacher.out_channels
    if channels != 6 or judge.in_channels != channels:
        raise SpecError("images have 3 channels; leave in_channels and out_channels of the networks as they are")
    for split in ("select", "test"):
        if (count := len(task.files(split))) < 2:
            raise DataError(
                f"{task.root} has {count} pair to {split} on, and scores need at least 2; add images "
                f"({task.split_note})"
            )


def fast_gan_compression(
    name: str, task: Task, budget: Budget, settings: FastSettings, teacher: Given | None = None
) -> Recipe:
    """The recipe. `teacher`: a finished one, instead of training it.

    Raises:
        SpecError: the generators cannot take the task's size; an unknown space.
        BudgetError: the smallest subnet is over the budget.
    """
    _check(task, settings)
    student = settings.teacher.model_copy(update={"separable": ("residual",)})
    space = resnet_space(settings.space, student)
    budget.check(space, CostModel(space.spec, task.size))
    shared: dict[str, Any] = dict(task=task, seed=settings.seed, precision=settings.precision)
    taught: Train | Given = teacher or Train(
        generator=settings.teacher,
        discriminator=settings.discriminator,
        objective=settings.objective,
        schedule=settings.teaching,
        **shared,
    )
    distil: dict[str, Any] = dict(
        teacher=taught, discriminator=settings.discriminator, objective=settings.distillation, **shared
    )
    supernet = Distil(space=space, schedule=settings.supernet, **distil)
    search = Search(
        supernet=supernet, budget=budget, strategy=settings.search, metric=settings.metric, seed=settings.seed
    )
    subnet = Extract(search=search)
    tuned = None
    if settings.tuning:
        tuned = Distil(init=subnet, judge=supernet, schedule=settings.tuning, **distil)
    return Recipe(
        name=name,
        method="fast-gan-compression",
        task=task,
        budget=budget,
        teacher=taught,
        supernet=supernet,
        search=search,
        subnet=subnet,
        tuned=tuned,
    )
