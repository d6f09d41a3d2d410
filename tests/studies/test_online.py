"""OMGD in a study, held against the published configurations."""

import pytest

from pocketgan.catalog.omgd import ROWS
from pocketgan.data.task import open_task
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import PatchSpec, ResnetSpec, SharedPatchSpec
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.games import FeatureNetwork
from pocketgan.studies.budgets import BUDGETS, budgets, widest
from pocketgan.studies.online import omgd_student

pytestmark = pytest.mark.usefixtures("even_pace")
SPEC = ResnetSpec.uniform(3).mobile


@pytest.mark.parametrize("scale", ["0.75x", "1.5x"])
def test_networks_and_game_are_the_published_ones(scale, toy):
    (row,) = (row for row in ROWS if row.name == f"omgd-resnet-cityscapes-{scale}")
    published = row.settings()
    stage = omgd_student(toy, published.student, 1.0, "student")
    assert (stage.student, stage.wide, stage.deep) == (published.student, published.wide, published.deep)
    assert stage.discriminator == SharedPatchSpec(width=toy.discriminator_width, heads=2, shared=row.shared)
    assert stage.discriminator.norm == published.discriminator.norm
    assert stage.objective == published.objective.model_copy(update={"channel": 50.0})
    assert (stage.feature_network, stage.seed, stage.task) == (FeatureNetwork(), toy.seed, toy.task)


def test_a_single_teacher_has_the_discriminator_alone(toy):
    wide = omgd_student(toy, SPEC, 1.0, "student", deep=None)
    deep = omgd_student(toy, SPEC, 1.0, "student", wide=None, objective=OnlineSettings(channel=0))
    assert (wide.roles, deep.roles) == (("teacher",), ("deep_teacher",))
    assert wide.discriminator == deep.discriminator == toy.discriminator == PatchSpec(width=2)


def test_finished_teachers_take_the_place_of_fresh_ones(toy):
    first = omgd_student(toy, SPEC, 1.0, "student")
    second = omgd_student(toy, SPEC, 1.0, "student", teachers=first)
    assert (second.wide, second.deep, second.teachers) == (None, None, first)
    assert second.roles == ("teacher", "deep_teacher")


def test_a_supernet_in_the_place_of_the_student(toy):
    space = space_named("3_2", SPEC)
    stage = omgd_student(toy, space.spec, 1.0, "supernet", space=space)
    assert (stage.space, stage.student, stage.wide.widths[0]) == (space, None, 12)


def test_without_perceptual_terms_nothing_is_looked_through(toy):
    assert (
        omgd_student(toy, SPEC, 1.0, "student", objective=OnlineSettings(style=0, feature=0)).feature_network
        is None
    )


def test_gray_inputs_have_teachers_for_gray_inputs(toy, pairs):
    gray = toy.model_copy(update={"task": open_task(pairs, size=24, channels=(1, None))})
    stage = omgd_student(gray, widest(gray, budgets(gray, BUDGETS)["3 %"]), 1.0, "student")
    assert {each.in_channels for each in (stage.student, stage.wide, stage.deep)} == {1}
    assert stage.discriminator.in_channels == 4
