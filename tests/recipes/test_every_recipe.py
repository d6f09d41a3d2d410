"""Every recipe of the catalog on made-up images of the right layout: its plan, and two steps of each training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.pipeline.games import Sight
from pocketgan.pipeline.store import Store
from pocketgan.recipes.catalog import ENTRIES, Entry
from pocketgan.recipes.compression import Settings, compression
from pocketgan.recipes.estimate import estimate_seconds
from pocketgan.recipes.recipe import Recipe
from pocketgan.search import Random
from pocketgan.training.fit import Runtime
from pocketgan.training.log import read_log
from pocketgan.training.schedule import Schedule
from pocketgan.units import both_sides

SIDE = 64
TWO_STEPS = Schedule(constant=1, batch_size=4)
RNG = np.random.default_rng(0)


def photo(height: int, width: int) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))


def labels(height: int, width: int, classes: int) -> Image.Image:
    blocks = RNG.integers(0, classes, (height // 16, width // 16), dtype=np.uint8)
    return Image.fromarray(blocks.repeat(16, 0).repeat(16, 1))


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def made_up(prepared: str | None, folder: Path) -> Path:
    """A folder like the one that `prepare` makes of that set: 11 training images (two of them are held out) and 3
    others."""
    for split, count in (("train", 11), ("val", 3)):
        for number in range(count):
            if prepared == "cityscapes-originals":
                stem = f"aachen_{number:06}_000019"
                save(photo(128, 256), folder / "leftImg8bit" / split / "aachen" / f"{stem}_leftImg8bit.png")
                maps = folder / "gtFine" / split / "aachen"
                save(labels(128, 256, 34), maps / f"{stem}_gtFine_labelIds.png")
                save(labels(128, 256, 99), maps / f"{stem}_gtFine_instanceIds.png")
            elif prepared == "coco-stuff":
                save(photo(SIDE, SIDE), folder / f"{split}_img" / f"{number}.jpg")
                for part, classes in (("label", 182), ("inst", 50)):
                    save(labels(SIDE, SIDE, classes), folder / f"{split}_{part}" / f"{number}.png")
            elif prepared in ("horse2zebra", "edges2shoes-r-unaligned"):
                for domain in "AB":
                    save(photo(SIDE, SIDE), folder / f"{split}{domain}" / f"{domain}{number}.png")
            else:
                save(photo(SIDE, 2 * SIDE), folder / split / f"{number}.png")
    return folder


def shrunk(settings: Settings) -> Settings:
    """The same recipe with networks of two channels and trainings of two steps."""
    small: dict[str, Any] = dict(
        teacher=settings.teacher.resized((2,) * len(settings.teacher.widths)),
        discriminator=settings.discriminator.model_copy(update={"width": 2}),
        space="2_1",
        search=Random(candidates=2),
        metric="fd_mobilenet_v2",
        teaching=TWO_STEPS.model_copy(update={"halving": settings.teaching.halving}),
        supernet=TWO_STEPS,
        sight=Sight(),
        precision="32-true",
    )
    if settings.tuning:
        small["tuning"] = TWO_STEPS
    if settings.predistillation:
        small["predistillation"] = TWO_STEPS
    return Settings.model_validate({**settings.model_dump(), **small})


@pytest.fixture(params=[entry for entry in ENTRIES.values() if entry.published], ids=lambda entry: entry.name)
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Recipe:
    entry: Entry = request.param
    wide = both_sides(entry.size) == (256, 512)
    folder = made_up(entry.prepare, tmp_path / "images")
    task = open_task(
        folder,
        direction=entry.direction,
        size=(128, 256) if wide else SIDE,
        load_size=(128, 256) if wide else None,
        unpaired=entry.unpaired,
    )
    return compression(entry.name, task, Budget(macs=10**9), shrunk(entry.settings()))


def test_its_plan_and_two_steps_of_each_training(recipe: Recipe, tmp_path: Path):
    store, runtime = Store(tmp_path / "stages"), Runtime(device="cpu", log_steps=1)
    seconds = estimate_seconds(recipe, store, runtime)
    assert seconds.keys() == recipe.stages.keys()
    assert all(figure > 0 for figure in seconds.values())
    store.realise(recipe.result, runtime)
    for name in ("teacher", "pre-distillation", "supernet", "fine-tuning"):
        if stage := recipe.stages.get(name):
            lines = read_log(store.home(stage) / "log.jsonl")
            assert [line["step"] for line in lines] == [1, 2], name
    assert store.status(recipe.result) == "finished"
    left = estimate_seconds(recipe, store, runtime)
    assert left["teacher"] == left["search"] == 0
