"""What `pocketgan fold` is asked for; tests/test_docs.py carries one out on a run, by its page."""

import inspect
from functools import partial
from types import SimpleNamespace

import pytest

import pocketgan as pg
from pocketgan.api.fold import job_of_model
from pocketgan.data.batches import steps_per_epoch
from pocketgan.data.task import open_task
from pocketgan.errors import DataError, PocketGANError
from pocketgan.models import save_model
from pocketgan.networks import MunitSpec, ResnetSpec
from pocketgan.pipeline.owner import MARK
from pocketgan.recipes.fold import schedule_for
from pocketgan.runtime import Runtime
from tests.conftest import draw_pairs

SPEC = ResnetSpec.uniform(2, blocks=1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_pairs(tmp_path / "pairs")
    for name, spec in (
        ("model", SPEC),
        ("munit", MunitSpec.uniform(1)),
        ("gray", SPEC.model_copy(update={"in_channels": 1, "out_channels": 1})),
    ):
        save_model(tmp_path / name, spec.build(), {"size": [16, 24], "direction": "BtoA"})
    return tmp_path


def recipe_of(model, data=None, images=8, changes=()):
    given = dict(size=None, out=None, runtime=Runtime(device="cpu"))
    job = job_of_model(str(model), data=data, images=images, changes=changes, **given)
    return job.settled()[0], job


def test_a_model_sees_images_as_it_learnt_them(place):
    recipe, job = recipe_of("model", place / "pairs", images=9)
    assert (recipe.task.size, recipe.task.direction) == ((16, 24), "BtoA")
    assert recipe.result.spec() == SPEC.model_copy(update={"norm": "batch"})
    assert recipe.result.images >= 9 > recipe.result.images - recipe.task.epoch()
    assert str(job.out) == "runs/model-folded"
    other, _ = recipe_of("model", place / "pairs", images=9, changes=("seed=1",))
    assert other.result.digest != recipe.result.digest


@pytest.mark.parametrize("there", [3, 4, 11])
def test_images_are_counted_as_batches_take_them(there):
    """A set smaller than a batch makes one batch an epoch, with repeats."""
    schedule = schedule_for(40, there)
    assert 40 <= schedule.epochs * steps_per_epoch(there, 4) * 4 < 48


@pytest.mark.parametrize("crop", [False, True])
def test_another_size_of_a_run(place, monkeypatch, crop):
    """Its images are resized for that size, or cut from images as they are, and must be as large."""
    task = open_task(place / "pairs", size=8, direction="BtoA", crop=crop, rotate=True)
    monkeypatch.setattr("pocketgan.api.fold.read_recipe", lambda folder: SimpleNamespace(task=task))
    (place / "model" / MARK).touch()
    sized = partial(job_of_model, "model", data=None, images=8, out=None, changes=(), runtime=Runtime(device="cpu"))
    assert sized(size=(16, 16)).settled()[0].task == open_task(
        place / "pairs", size=16, direction="BtoA", crop=crop, rotate=True
    )
    with pytest.raises(DataError, match="is 24x24, smaller than the size 32"):
        sized(size=(32, 32))


@pytest.mark.parametrize(
    ("model", "data", "told"),
    [
        ("model", None, "model is a model folder, which names no images; name them with --data"),
        ("resnet:2", "pairs", "resnet:2 is a network with fresh weights; give a model folder or a run folder"),
        ("munit", "pairs", "and this is a munit; export it as it is"),
        ("nothing", "pairs", "nothing does not exist; give a model folder, a run folder or a spec"),
    ],
)
def test_what_cannot_be_done(place, model, data, told):
    with pytest.raises(PocketGANError) as error:
        recipe_of(model, data and place / data)
    assert told in str(error.value)
    assert not (place / "runs").exists()


@pytest.mark.parametrize(
    ("given", "told"), [({"images": 0}, "at least 1, not 0"), ({"model": None}, "the model is")]
)
def test_a_wrong_kind_from_python(place, given, told):
    with pytest.raises(PocketGANError, match=told):
        inspect.unwrap(pg.fold)(**{"model": "model", "data": "pairs", **given})
