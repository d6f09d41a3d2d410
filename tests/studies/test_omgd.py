"""The ablation of OMGD: what each contestant leaves out, and that nothing else differs."""

import pytest

from pocketgan.networks import PatchSpec
from pocketgan.pipeline.training import Train
from pocketgan.studies.omgd import TERMS, omgd

pytestmark = pytest.mark.usefixtures("even_pace")


@pytest.fixture
def by_series(toy):
    return {point.series: point.network for point in omgd(toy)}


def test_all_are_the_same_network_for_as_many_epochs(toy):
    # however fast the others are: the whole game's pace counts for all
    longer = toy.model_copy(update={"seconds": 3.0})
    stages = [point.network for point in omgd(longer)]
    assert {stage.spec() for stage in stages} == {stages[0].student}
    assert {stage.schedule for stage in stages} == {stages[0].schedule}
    assert stages[0].schedule.epochs == 60, "3 s at 0.05 s a step and one step an epoch"


def test_offline_imitates_the_finished_teachers_of_the_whole_game(by_series):
    whole, offline = by_series["OMGD"], by_series["offline"]
    assert offline.teachers == whole
    assert offline.objective == whole.objective.model_copy(update={"n_dis": 0})


def test_one_teacher_alone(by_series):
    whole, wide, deep = (by_series[series] for series in ("OMGD", "wide only", "deep only"))
    alone = {"discriminator": PatchSpec(width=2)}
    assert wide == whole.model_copy(update={"deep": None, **alone})
    # channels are those of the wide teacher
    no_channels = whole.objective.model_copy(update={"channel": 0.0})
    assert deep == whole.model_copy(update={"wide": None, "objective": no_channels, **alone})


@pytest.mark.parametrize("series", TERMS)
def test_one_term_less(series, by_series):
    whole = by_series["OMGD"]
    assert getattr(whole.objective, TERMS[series]) > 0
    without = whole.objective.model_copy(update={TERMS[series]: 0.0})
    assert by_series[series] == whole.model_copy(update={"objective": without})


def test_from_scratch_is_an_ordinary_generator(by_series, toy):
    scratch = by_series["from scratch"]
    assert isinstance(scratch, Train)
    assert (scratch.objective, scratch.discriminator) == (toy.teaching, toy.discriminator)
