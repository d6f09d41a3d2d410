"""How wide and how long: from a user's wish to the numbers of a method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.recipes.fast import FastSettings
from pocketgan.search import Evolution
from pocketgan.training.fit import Precision
from pocketgan.training.schedule import Schedule

Effort = Literal["quick", "standard", "paper"]


@dataclass(frozen=True)
class _Level:
    """Base widths, and the training images seen by the teacher, the supernet and the fine-tuning."""

    teacher: int
    judge: int
    space: str
    images: tuple[int, int, int]
    search: Evolution


LEVELS: dict[str, _Level] = {
    "quick": _Level(32, 64, "32_24_16_8", (6_000, 6_000, 3_000), Evolution(population=20, generations=3)),
    "standard": _Level(
        48, 64, "48_40_32_24_16_8", (100_000, 150_000, 50_000), Evolution(population=50, generations=20)
    ),
    # cityscapes and edges2shoes-r of the papers see 740 to 920 thousand images, their supernets twice as many
    "paper": _Level(
        64, 128, "channels-64-pix2pix", (800_000, 1_600_000, 800_000), Evolution(mutation_probability=0.3)
    ),
}


def settings_for(effort: Effort, training_pairs: int, batch_size: int = 4) -> FastSettings:
    """The settings of Fast GAN Compression at an effort, for a data set of this size."""
    level = LEVELS[effort]

    def schedule(images: int) -> Schedule:
        epochs = max(2, math.ceil(images / training_pairs))
        constant = max(1, round(0.4 * epochs))
        return Schedule(constant=constant, decay=epochs - constant, batch_size=batch_size)

    teaching, supernet, tuning = map(schedule, level.images)
    return FastSettings(
        teacher=ResnetSpec.uniform(level.teacher),
        discriminator=PatchSpec(width=level.judge),
        teaching=teaching,
        space=level.space,
        supernet=supernet,
        tuning=tuning,
        search=level.search,
        precision=best_precision() if effort == "quick" else "32-true",
    )


def best_precision() -> Precision:
    """bf16 where the processor multiplies in it, else float32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
