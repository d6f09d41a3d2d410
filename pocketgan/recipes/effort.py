"""How wide and how long: from a user's wish to the numbers of a method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pocketgan.data.task import Task
from pocketgan.recipes.compression import Settings
from pocketgan.recipes.families import ModelName, parts
from pocketgan.search import Evolution
from pocketgan.training.fit import Precision
from pocketgan.training.schedule import Schedule

Effort = Literal["quick", "standard", "paper"]
Method = Literal["gan-compression", "fast-gan-compression"]

#: side from which label maps are taken from a grid of 1/64 instead of 1/32 of theirs
_WIDE_GRID = 512


@dataclass(frozen=True)
class _Level:
    """Base widths, options of the student's widths, and the training images seen by teacher, supernet, fine-tuning.

    `teacher` and `space` are of Fast GAN Compression; `mobile_teacher` and `narrow_space` of GAN Compression.
    """

    teacher: int
    mobile_teacher: int
    judge: int
    space: str
    narrow_space: str
    images: tuple[int, int, int]
    search: Evolution


LEVELS: dict[str, _Level] = {
    "quick": _Level(
        32,
        48,
        64,
        "32_24_16_8",
        "32_24_16_8",
        (6_000, 6_000, 3_000),
        Evolution(population=20, generations=3),
    ),
    "standard": _Level(
        48,
        64,
        64,
        "48_40_32_24_16_8",
        "48_40_32_24_16_8",
        (100_000, 150_000, 50_000),
        Evolution(population=50, generations=20),
    ),
    # cityscapes and edges2shoes-r of the papers see 740 to 920 thousand images, their supernets twice as many
    "paper": _Level(
        64,
        96,
        128,
        "64_56_48_40_32_24_16",
        "48_40_32_24_16",
        (800_000, 1_600_000, 800_000),
        Evolution(mutation_probability=0.3),
    ),
}

#: images a step; without pairs one, as published
BATCH = {"pix2pix": 4, "gaugan": 4, "cyclegan": 1, "munit": 1}


def settings_for(
    effort: Effort,
    task: Task,
    model: ModelName,
    method: Method = "fast-gan-compression",
) -> Settings:
    """The settings of a method for a model, at an effort, for these data.

    Fine-tuning is left out without pairs, where the authors found that it harms.
    """
    level, batch_size = LEVELS[effort], BATCH[model]

    def schedule(images: int) -> Schedule:
        epochs = max(2, math.ceil(images / task.epoch()))
        constant = max(1, round(0.4 * epochs))
        return Schedule(constant=constant, decay=epochs - constant, batch_size=batch_size)

    teaching, supernet, tuning = map(schedule, level.images)
    labels: dict[str, Any] = dict(
        in_channels=task.in_channels, upsampling="more" if min(task.size) >= _WIDE_GRID else "normal"
    )
    if method == "fast-gan-compression":
        made, space, narrow = parts(model, level.teacher, level.judge, **labels), level.space, None
    else:
        made, space = parts(model, level.mobile_teacher, level.judge, mobile=True, **labels), level.narrow_space
        narrow = teaching
    return Settings(
        **made,
        predistillation=narrow,
        teaching=teaching,
        space=space,
        supernet=supernet,
        tuning=tuning if task.paired else None,
        search=level.search,
        precision=best_precision() if effort == "quick" else "32-true",
    )


def best_precision() -> Precision:
    """bf16 where the processor multiplies in it, else float32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
