"""Every study: its points are what it says, and at toy size it runs."""

from pathlib import Path

import pytest

from pocketgan.data.task import Task
from pocketgan.elastic.cost import cost
from pocketgan.errors import BudgetError, DataError, SpecError
from pocketgan.models import load_model
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import UNPAIRED
from pocketgan.runtime import Runtime
from pocketgan.studies.catalog import STUDIES, study_named
from pocketgan.studies.in_place import in_place
from pocketgan.studies.setting import Setting
from pocketgan.studies.students import CURVE
from pocketgan.studies.study import Study

pytestmark = pytest.mark.usefixtures("even_pace", "few_candidates")
EVERY = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


def setting_of(study: Study, paired: Task, unpaired: Task, **fields: object) -> Setting:
    task = unpaired if study.data == UNPAIRED else paired
    return Setting(**{"task": task, "seconds": 0.01, "teacher_width": 16, "discriminator_width": 2, **fields})


@EVERY
def test_points_are_distinct_and_claims_are_about_them(study, paired, unpaired):
    # narrow networks are the same within several budgets, and the shortest trainings of one length
    width = 32 if study.name in ("one-run", "in-place-front") else 16
    points = study.points(setting_of(study, paired, unpaired, teacher_width=width, seconds=60.0))
    assert len({(point.series, point.place) for point in points}) == len(points)
    assert len({point.network.digest for point in points}) == len(points)
    known = {(point.series, point.place) for point in points}
    for claim in study.claims:
        places = claim.places or {place for _, place in known}
        assert {(series, place) for series in (claim.better, claim.worse) for place in places} <= known


@EVERY
def test_budgets_are_kept_and_used(study, paired, unpaired):
    setting = setting_of(study, paired, unpaired)
    most = cost(setting.dense, *setting.task.size)["macs"]
    for point in study.points(setting):
        if point.place in CURVE:
            share = cost(point.network.spec(), *setting.task.size)["macs"] / most
            assert CURVE[point.place] / 3 < share <= CURVE[point.place]


@EVERY
def test_seeds_differ_in_every_stage(study, paired, unpaired):
    """But for the exhaustive search, which finds the same with all of them."""
    first, second = (study.points(setting_of(study, paired, unpaired, seed=seed)) for seed in (0, 1))
    same = {point.network.digest for point in first} & {point.network.digest for point in second}
    assert same == {point.network.digest for point in first if point.series == "exhaustive"}


@pytest.mark.parametrize("name", ["methods", "in-place"])
def test_without_pairs_all_but_omgd_take_part(name, paired, unpaired):
    """All of them by CycleGAN, and as long as with pairs."""
    points = STUDIES[name].points(setting_of(STUDIES[name], paired, unpaired, task=unpaired, seconds=60.0))
    every = STUDIES[name].points(setting_of(STUDIES[name], paired, unpaired, seconds=60.0))
    known = [(point.series, point.place) for point in every if point.series != "OMGD"]
    assert [(point.series, point.place) for point in points] == known
    assert len({point.network.digest for point in points}) == len(points)
    trained = [point.network for point in points if isinstance(point.network, Train | InPlaceTraining)]
    assert {stage.objective.kind for stage in trained} == {"cyclegan", "in-place-cyclegan"}
    assert {stage.objective.lr for stage in trained if stage.kind == "train"} == {2e-4, 1e-3}


def test_a_toy_of_in_place_runs_without_pairs(paired, unpaired, toys: Store):
    setting = setting_of(STUDIES["in-place"], paired, unpaired, task=unpaired)
    for point in in_place(setting, {"1 %": CURVE["1 %"]}):
        spec = load_model(toys.realise(point.network, Runtime(device="cpu")) / "model").spec
        assert (
            cost(spec, *setting.task.size)["macs"] <= CURVE["1 %"] * cost(setting.dense, *setting.task.size)["macs"]
        )


def test_contestants_of_a_study_share_their_teacher(paired):
    points = STUDIES["trade-off"].points(Setting(task=paired, seconds=0.1, teacher_width=16))
    teachers = {point.network.teacher.digest for point in points if not isinstance(point.network, Train)}
    assert len(teachers) == 1


def test_what_each_ablation_leaves_out(paired):
    setting = Setting(task=paired, seconds=0.1, teacher_width=16)
    by_series = {
        point.series: point.network for point in STUDIES["trade-off"].points(setting) if point.place == "1 %"
    }
    assert isinstance(by_series["from scratch"], Train)
    pruned, distilled, both = (
        by_series[f"{name}"] for name in ("pruning", "distillation", "pruning + distillation")
    )
    assert (pruned.objective.distil, distilled.objective.distil, both.objective.distil) == (0, 1, 1)
    assert (pruned.init, distilled.init, both.init) == (both.teacher, None, both.teacher)
    assert isinstance(by_series["supernet + search"].init, Pick)
    inherited, fresh = (
        point.network for point in STUDIES["inherited-discriminator"].points(setting) if point.place == "1 %"
    )
    assert (inherited.inherited, fresh.inherited) == (inherited.teacher, None)
    assert inherited.model_copy(update={"inherited": None}) == fresh, "nothing else differs"


def test_from_scratch_for_as_many_steps_as_a_student(paired):
    points = STUDIES["trade-off"].points(Setting(task=paired, seconds=60.0, teacher_width=16))
    at = {point.series: point.network for point in points if point.place == "6 %"}
    alone, student = at["from scratch, a student's steps"], at["pruning + distillation"]
    assert (alone.generator, alone.schedule) == (student.student, student.schedule)
    assert at["from scratch"] == alone.model_copy(update={"schedule": at["from scratch"].schedule})
    assert at["from scratch"].schedule.epochs > alone.schedule.epochs


@EVERY
def test_a_toy_of_it_runs(study, paired, unpaired, toys: Store):
    setting = setting_of(study, paired, unpaired)
    most = cost(setting.dense, *setting.task.size)["macs"]
    for point in study.points(setting):
        # of a search that competes itself, what it found
        network = Pick(search=point.network) if isinstance(point.network, Search) else point.network
        toys.realise(network, Runtime(device="cpu"))
        spec = load_model(toys.artifact(network) / "model").spec
        assert cost(spec, *setting.task.size)["macs"] <= CURVE.get(point.place, 1.0) * most


def test_unknown_names_get_the_nearest(paired):
    with pytest.raises(SpecError, match="trade-off"):
        study_named("tradeoff")


def test_data_that_do_not_suit_are_refused(paired, unpaired):
    for study, task, words in (
        (
            "pseudo-pairs",
            paired,
            "needs two sets of images without pairs, .* add --unpaired to ignore the pairs",
        ),
        ("trade-off", unpaired, "needs pairs of images, .*holds two sets of images without pairs"),
    ):
        with pytest.raises(DataError, match=words) as refusal:
            STUDIES[study].check(Setting(task=task, seconds=1))
        assert "\n" not in str(refusal.value)


def test_sizes_that_networks_cannot_take_are_refused(pairs: Path, paired):
    small = paired.model_copy(update={"size": (16, 16)})
    with pytest.raises(SpecError, match="too small for a patch discriminator"):
        STUDIES["methods"].check(Setting(task=small, seconds=1))


def test_budgets_below_one_channel_are_refused(paired):
    with pytest.raises(BudgetError, match="is below the smallest resnet, of one channel"):
        STUDIES["methods"].points(Setting(task=paired, seconds=1, teacher_width=4))


def test_searches_are_seeded_and_within_their_budget(paired):
    points = STUDIES["methods"].points(Setting(task=paired, seconds=0.1, teacher_width=16, seed=3))
    searches = [point.network.init.search for point in points if "Compression" in point.series]
    assert len(searches) == 4
    assert all(isinstance(search, Search) and search.seed == 3 for search in searches)
