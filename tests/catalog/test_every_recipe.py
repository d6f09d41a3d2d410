"""Every recipe of the catalog on made-up images of the right layout: its plan, and two steps of each training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pocketgan.catalog.catalog import ENTRIES, Entry
from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.methods.gan_compression import GanCompression
from pocketgan.methods.omgd import Omgd
from pocketgan.networks import GeneratorSpec, UnetSpec
from pocketgan.pipeline.games import FeatureNetwork
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.training import Training
from pocketgan.recipes.settings import RecipeSettings
from pocketgan.recipes.supernet import SupernetSettings
from pocketgan.runs.run import estimate_seconds
from pocketgan.runtime import Runtime
from pocketgan.search import Random
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
            elif prepared in ("horse2zebra", "summer2winter_yosemite", "edges2shoes-r-unaligned"):
                for domain in "AB":
                    save(photo(SIDE, SIDE), folder / f"{split}{domain}" / f"{domain}{number}.png")
            else:
                save(photo(SIDE, 2 * SIDE), folder / split / f"{number}.png")
    return folder


def narrow(spec: GeneratorSpec) -> GeneratorSpec:
    """The same network of two channels; a U-Net of as many levels as the images allow."""
    if isinstance(spec, UnetSpec):
        return UnetSpec.uniform(2, levels=6, residuals=spec.residuals)
    return spec.resized((2,) * len(spec.widths))


def shrunk(settings: RecipeSettings) -> RecipeSettings:
    """The same recipe with networks of two channels and trainings of two steps; in the second all players learn."""
    if isinstance(settings, Omgd):
        objective = settings.objective
        return settings.model_copy(
            update=dict(
                student=narrow(settings.student),
                wide=narrow(settings.wide),
                deep=settings.deep and narrow(settings.deep),
                discriminator=settings.discriminator.model_copy(update={"width": 2}),
                objective=objective.model_copy(update={"n_dis": min(2, objective.n_dis)}),
                schedule=TWO_STEPS,
                metric="fd_mobilenet_v2",
                feature_network=FeatureNetwork(),
            )
        )
    assert isinstance(settings, SupernetSettings)
    small: dict[str, Any] = dict(
        teacher=narrow(settings.teacher),
        discriminator=settings.discriminator.model_copy(update={"width": 2}),
        space="2_1",
        search=Random(candidates=2),
        metric="fd_mobilenet_v2",
        teaching=TWO_STEPS.model_copy(update={"halving": settings.teaching.halving}),
        supernet=TWO_STEPS,
        feature_network=FeatureNetwork(),
        precision="fp32",
    )
    if settings.tuning:
        small["tuning"] = TWO_STEPS
    if isinstance(settings, GanCompression):
        small["predistillation"] = TWO_STEPS
    return type(settings).model_validate({**settings.model_dump(), **small})


def differs(entry: Entry) -> bool:
    """Whether it is another recipe when it is shrunk: OMGD's rows of other widths are then those of 1.0x."""
    return bool(entry.published) and (not entry.name.startswith("omgd") or entry.name.endswith("1.0x"))


@pytest.fixture(params=[entry for entry in ENTRIES.values() if differs(entry)], ids=lambda entry: entry.name)
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
    return shrunk(entry.settings()).recipe(entry.name, task, Budget(macs=10**9))


def test_its_plan_and_two_steps_of_each_training(recipe: Recipe, tmp_path: Path):
    if recipe.name == "fast-gaugan-cityscapes":
        pytest.skip("half a minute for the networks of gaugan-cityscapes")
    store, runtime = Store(tmp_path / "stages"), Runtime(device="cpu", log_steps=1)
    seconds = estimate_seconds(recipe, store, runtime)
    assert seconds.keys() == recipe.all_stages.keys()
    assert all(figure > 0 for figure in seconds.values())
    store.realise(recipe.result, runtime)
    for name, stage in recipe.stages.items():
        if isinstance(stage, Training):
            lines = read_log(store.home(stage) / "log.jsonl")
            assert [line["step"] for line in lines] == list(range(1, 2 * stage.epochs + 1)), name
    trained = "student" if "student" in recipe.stages else "teacher"
    finished = {trained, *({"search"} & recipe.stages.keys())}
    assert {store.status(stage) for stage in (recipe.result, *(recipe[name] for name in finished))} == {"finished"}
