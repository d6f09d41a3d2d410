"""Single settings by name: what is off, what has no use, what people call metrics."""

from pathlib import Path

import pytest
import torch

from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import SpecError
from pocketgan.methods import method_named
from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec, init_normal
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.changes import changed, check_used
from pocketgan.recipes.channels import with_channels
from pocketgan.recipes.games import game_for
from pocketgan.recipes.method import Wish
from tests.data.pictures import write_folders, write_sets

BUDGET = Budget.parse("1G")


def settings(task, method: str):
    return method_named(method)(Wish(effort="quick", task=task, game=game_for(task), budget=BUDGET))


@pytest.fixture
def pairs(tmp_path: Path):
    return open_task(write_folders(tmp_path / "pairs", 12, side=24), size=24)


@pytest.fixture
def sets(tmp_path: Path):
    return open_task(write_sets(tmp_path / "sets", 12, 14, side=24), size=24)


def test_what_json_leaves_out_can_be_set(pairs):
    """A field that is written only where it is not its default."""
    new = changed(settings(pairs, "in-place"), ["form.input_skip=false", "objective.sampling.ends=true"])
    assert not new.form.input_skip
    assert new.objective.sampling.ends


def test_ends_are_searched_and_the_way_up_is_chosen(pairs):
    new = changed(settings(pairs, "in-place"), ["space=16_8,ends=7_5_3", "form.up=shuffle"])
    space = new.recipe("name", pairs, BUDGET).stages["supernet"].space
    assert space.text(space.smallest) == "8_8_8_8_8_8_8_8,ends=3"
    assert (space.spec.ends, space.subspec(space.smallest).ends, space.spec.up) == (7, 3, "shuffle")


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        (
            "fast-gan-compression",
            "tuning.constant=3",
            "tuning is off, since without pairs this method does no fine-tuni",
        ),
        (
            "gan-compression",
            "tuning.decay=3",
            "tuning is off, since without pairs this method does no fine-tuning, which",
        ),
        (
            "fast-gan-compression",
            "race.looks=[0.5]",
            "race is off, since every candidate of the search sees all images",
        ),
        ("omgd", "deep.widths=[4]", "deep is off, since without pairs there is one teacher, the wide one"),
        ("omgd", "student.blocks=3", "student is off, since the widest student within the budget is taken"),
    ],
)
def test_what_is_off_says_why(sets, method, change, message):
    name = change.partition(".")[0]
    with pytest.raises(SpecError) as caught:
        changed(settings(sets, method), [change])
    assert str(caught.value).startswith(f"--set {change}: {message}")
    assert str(caught.value).endswith(f"; leave it out, or give {name} as a whole, as {name}={{...}}")


def test_what_is_off_can_be_given_as_a_whole(sets):
    found = changed(settings(sets, "fast-gan-compression"), ['tuning={"constant":1,"decay":2,"batch_size":1}'])
    assert (found.tuning.constant, found.tuning.decay) == (1, 2)
    assert changed(found, ["tuning.constant=5"]).tuning.constant == 5
    with pytest.raises(SpecError, match=r"unknown setting 'tuned.constant'"):
        changed(found, ["tuned.constant=5"])


def used(task, method: str, changes: list[str], teacher: TeacherFile | None = None) -> None:
    check_used(
        settings(task, method),
        changes,
        lambda final: with_channels(final, task).recipe("any", task, BUDGET, teacher),
    )


@pytest.mark.parametrize(
    ("method", "idle"),
    [
        ("fast-gan-compression", "teaching.decay=3"),
        ("fast-gan-compression", "teaching.constant=3"),
        ("fast-gan-compression", "objective.recon=3"),
    ],
)
def test_what_a_finished_teacher_makes_useless_is_refused(pairs, tmp_path, method, idle):
    save_model(
        tmp_path / "teacher", init_normal(ResnetSpec.uniform(4).build(), torch.Generator().manual_seed(0)), {}
    )
    teacher = TeacherFile.of(tmp_path / "teacher")
    with pytest.raises(SpecError) as caught:
        used(pairs, method, ["supernet.constant=2", idle], teacher)
    assert str(caught.value) == f"--set {idle} has no use here: the recipe is the same without it; leave it out"
    used(pairs, method, ["supernet.constant=2", "seed=4", "space=4_2", "metric=l1"], teacher)


def test_what_is_used_replaced_or_as_ever_is_let_pass(pairs):
    used(
        pairs,
        "fast-gan-compression",
        ["discriminator.width=8", "discriminator.width=4", "precision=fp32", "seed=2"],
    )
    used(pairs, "fast-gan-compression", ["tuning.constant=1", "tuning=null"])
    with pytest.raises(SpecError, match=r"--set feature_network.name=vgg16 has no use here"):
        used(pairs, "fast-gan-compression", ["feature_network.name=vgg16"])


@pytest.mark.parametrize(("said", "meant"), [("fid", "fid_legacy"), ("FID", "fid_legacy"), ("lpips", "lpips_alex")])
def test_metrics_as_people_call_them(pairs, said, meant):
    assert changed(settings(pairs, "fast-gan-compression"), [f"metric={said}"]).metric == meant
