"""How wide and how long: from a user's wish to the numbers of a method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.shrinking import shrinking
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.networks import DeepResnetSpec, PatchSpec, ResnetSpec, write_numbers
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.objectives.precision import Precision
from pocketgan.recipes.compression import Settings
from pocketgan.recipes.families import ModelName, parts
from pocketgan.recipes.methods import AnySettings
from pocketgan.recipes.omgd import OmgdSettings
from pocketgan.recipes.online import widest
from pocketgan.recipes.pocket import FASTER, POCKET, PocketSettings
from pocketgan.search import Evolution, Nsga2
from pocketgan.training.schedule import Schedule

Effort = Literal["quick", "standard", "paper"]
Method = Literal["gan-compression", "fast-gan-compression", "once-for-all", "omgd", "pocket"]

#: side from which label maps are taken from a grid of 1/64 instead of 1/32 of theirs
_WIDE_GRID = 512


@dataclass(frozen=True)
class _Level:
    """Base widths, options of the student's widths, and the training images seen by teacher, supernet, fine-tuning.

    `teacher` and `space` are of Fast GAN Compression and Once-for-all; `mobile_teacher` and `narrow_space` of GAN
    Compression. Of OMGD and Pocket are `online_images`: those of the training with pairs, and those that the
    teachers see without; their widest teacher has `mobile_teacher` too. Pocket's teacher warms up as long as others
    learn.
    """

    teacher: int
    mobile_teacher: int
    judge: int
    space: str
    narrow_space: str
    images: tuple[int, int, int]
    online_images: tuple[int, int]
    search: Evolution


LEVELS: dict[str, _Level] = {
    "quick": _Level(
        32,
        48,
        64,
        "32_24_16_8",
        "32_24_16_8",
        (6_000, 6_000, 3_000),
        (15_000, 4_000),
        Evolution(population=20, generations=3),
    ),
    "standard": _Level(
        48,
        64,
        64,
        "48_40_32_24_16_8",
        "48_40_32_24_16_8",
        (100_000, 150_000, 50_000),
        (300_000, 60_000),
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
        # cityscapes' students see 2.2 million images, horse2zebra's teachers 240 thousand
        (2_000_000, 240_000),
        Evolution(mutation_probability=0.3),
    ),
}

#: what Once-for-all chooses beside widths, of a model whose networks have that choice
FURTHER = {"pix2pix": ",depth=9_6,kernel=5_3", "cyclegan": ",depth=9_6,kernel=5_3", "munit": ",depth=4_2"}

#: images a step; without pairs one, as published
BATCH = {"pix2pix": 4, "gaugan": 4, "cyclegan": 1, "munit": 1}


def settings_for(
    effort: Effort,
    task: Task,
    model: ModelName,
    method: Method = "fast-gan-compression",
    budget: Budget | None = None,
) -> AnySettings:
    """The settings of a method for a model, at an effort, for these data. What OMGD's and Pocket's
    students are follows from the `budget`.

    Fine-tuning after a `Distil` is left out without pairs, where the authors found that it harms.

    Raises `SpecError` where the method does not know the model.
    """
    level = LEVELS[effort]
    if method in ("omgd", "pocket"):
        return _online(level, effort, task, model, method, budget)
    teaching, supernet, tuning = (_schedule(images, task, model) for images in level.images)
    labels: dict[str, Any] = dict(
        in_channels=task.in_channels, upsampling="more" if min(task.size) >= _WIDE_GRID else "normal"
    )
    shrinks, narrow = method == "once-for-all", None
    if method == "gan-compression":
        made, space = parts(model, level.mobile_teacher, level.judge, mobile=True, **labels), level.narrow_space
        narrow = teaching
    else:
        made, space = parts(model, level.teacher, level.judge, mobile=shrinks, **labels), level.space
    if shrinks:
        space += FURTHER.get(model, "")
        phases = len(shrinking(space_named(space, made["teacher"].mobile)))
        supernet = _schedule(-(-level.images[1] // phases), task, model)
    return Settings(
        **made,
        predistillation=narrow,
        teaching=teaching,
        space=space,
        supernet=supernet,
        shrinking=shrinks,
        tuning=tuning if task.paired else None,
        search=level.search,
        precision=best_precision() if effort == "quick" else "fp32",
    )


def _online(
    level: _Level, effort: Effort, task: Task, model: ModelName, method: Method, budget: Budget | None
) -> AnySettings:
    """OMGD's or Pocket's: as published, a wide teacher has four times the student's width, and OMGD's deep one a
    quarter of the wide one's."""
    if model not in ("pix2pix", "cyclegan"):
        raise SpecError(
            f"{method} compresses pix2pix and cyclegan, and this is {model}; choose --method fast-gan-compression "
            "or gan-compression"
        )
    paired = model == "pix2pix"
    width = level.teacher
    if budget:
        width = max(widest(ResnetSpec.uniform(level.mobile_teacher).mobile, budget, task).widths)
    wide = min(4 * width, level.mobile_teacher)
    schedule = _schedule(level.online_images[not paired], task, model)
    # the student has ten turns or more
    bursts = BurstSettings(every=max(1, min(10, schedule.epochs // 10)))
    shared: dict[str, Any] = dict(
        wide=ResnetSpec.uniform(wide).mobile,
        discriminator=PatchSpec(in_channels=6 if paired else 3, width=level.judge),
        precision=best_precision() if effort == "quick" else "fp32",
    )
    if method == "omgd":
        deep = DeepResnetSpec.uniform(max(1, wide // 4)) if paired else None
        return OmgdSettings(
            **shared, deep=deep, objective=OnlineSettings() if paired else bursts, schedule=schedule
        )
    return PocketSettings(
        **shared,
        objective=POCKET if paired else bursts.model_copy(update=FASTER),
        warm_up=_schedule(level.images[0], task, model) if paired else None,
        schedule=schedule,
        # down to a third of the MACs or so: where both ends are near, both get good
        tuning=_schedule(level.images[2], task, model),
        space=write_numbers(tuple(dict.fromkeys((width, -(-3 * width // 4), -(-width // 2))))),
        search=Nsga2(population=level.search.population, generations=level.search.generations),
    )


def _schedule(images: int, task: Task, model: ModelName) -> Schedule:
    """So many training images, and the learning rate falling for the last three fifths of them."""
    epochs = max(2, math.ceil(images / task.epoch()))
    constant = max(1, round(0.4 * epochs))
    return Schedule(constant=constant, decay=epochs - constant, batch_size=BATCH[model])


def best_precision() -> Precision:
    """bf16 where the processor multiplies in it, else float32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"
