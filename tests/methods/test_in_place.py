"""The method of in-place distillation: its stages, what it refuses, and a toy run from data to a report."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketgan.data.inputs import open_inputs
from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.errors import BudgetError, DataError, SpecError
from pocketgan.methods import method_named
from pocketgan.methods.in_place import InPlaceMethod
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.cycle import CycleGanSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycleSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.games import GAMES
from pocketgan.recipes.guard import FROM_SCRATCH, guarded
from pocketgan.recipes.method import Wish
from pocketgan.search import Random
from pocketgan.training.schedule import Schedule
from tests.conftest import Outcome, draw_pairs

SIZE = 24
SHORT = Schedule(constant=1, decay=1, batch_size=2)
BUDGET = Budget(macs=10**8)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return open_task(draw_pairs(tmp_path_factory.mktemp("in-place") / "pairs", size=SIZE), size=SIZE)


@pytest.fixture(scope="module")
def unpaired(task: Task) -> Task:
    """The same images without their pairing."""
    return open_task(task.root, size=SIZE, unpaired=True)


def more_inputs(task: Task) -> Path:
    """Inputs without a partner."""
    return draw_pairs(task.root.parent / "more", count=3, size=SIZE, seed=1) / "A"


#: what is other without pairs
APART: dict[str, Any] = dict(discriminator=PatchSpec(in_channels=3, width=2), objective=InPlaceCycleSettings())


def settings(**changes: Any) -> InPlaceMethod:
    own: dict[str, Any] = dict(
        form=ResnetSpec.uniform(4, blocks=1).mobile,
        discriminator=PatchSpec(width=2),
        schedule=SHORT,
        space="4_2",
        search=Random(candidates=2),
        tuning=SHORT,
        timed=None,
        seed=5,
    )
    return InPlaceMethod(**{**own, **changes})


def test_its_stages(task: Task):
    made = settings(whole_train=True, precision="bf16").recipe("toy", task, BUDGET)
    assert list(made.stages) == ["supernet", "search", "subnet", "fine-tuning"]
    supernet, tuned = made["supernet"], made["fine-tuning"]
    assert (made.teacher, made.result, made.search.supernet) == (supernet, tuned, supernet)
    assert supernet.space.spec.widths == (4,) * len(supernet.space.spec.widths)
    assert (tuned.init, tuned.inherited, tuned.space) == (made["subnet"], supernet, None)
    assert (supernet.splits, tuned.splits) == (("train",), ("train", "select"))
    assert {(stage.seed, stage.precision, stage.discriminator) for stage in (supernet, tuned)} == {
        (5, "bf16", PatchSpec(width=2))
    }
    assert made["subnet"].margin == 0.05, "what goes on alone may be larger than what scores best"
    untuned = settings(tuning=None).recipe("toy", task, BUDGET)
    assert untuned.result == untuned["subnet"]
    assert untuned["subnet"].margin == 0
    assert settings(timed=2).recipe("toy", task, BUDGET).front_latency.points == 2


def test_its_stages_without_pairs(task: Task, unpaired: Task):
    """The same ones, of the other game."""
    made, paired = settings(**APART).recipe("toy", unpaired, BUDGET), settings().recipe("toy", task, BUDGET)
    assert list(made.stages) == list(paired.stages)
    assert {made[name].objective for name in ("supernet", "fine-tuning")} == {InPlaceCycleSettings()}
    assert made["fine-tuning"].inherited == made["supernet"]
    with pytest.raises(DataError, match=r"pix2pix learns from pairs of images, and .* holds two sets of images"):
        settings().recipe("toy", unpaired, BUDGET)
    with pytest.raises(DataError, match=r"cyclegan learns from two sets of .*, and .* holds pairs of images"):
        settings(**APART).recipe("toy", task, BUDGET)


@pytest.mark.parametrize("game", ["pix2pix", "cyclegan"])
@pytest.mark.parametrize("effort", ["quick", "standard", "paper"])
def test_every_effort_fills_the_budget(task: Task, unpaired: Task, effort: Any, game: str):
    task = task if game == "pix2pix" else unpaired
    budget = Budget(macs=3 * 10**6)
    made = method_named("in-place")(Wish(effort=effort, task=task, game=GAMES[game], budget=budget))
    recipe = made.recipe("toy", task, budget)
    widest = recipe["supernet"].space.spec
    assert recipe["search"].widest(budget) == widest, "the largest subnet is the widest within the budget"
    assert len(recipe["supernet"].space.choices[0].options) > 1
    free = method_named("in-place")(Wish(effort=effort, task=task, game=GAMES[game]))
    assert free.recipe("toy", task, Budget(macs=10**12)).stages.keys() == recipe.stages.keys()


def test_what_it_refuses(task: Task, unpaired: Task):
    with pytest.raises(SpecError, match="in-place compresses pix2pix and cyclegan, and this is munit"):
        method_named("in-place")(Wish(effort="quick", task=unpaired, game=GAMES["munit"]))
    finished = TeacherFile(file=Path("models"), generator=ResnetSpec.uniform(4, blocks=1), content="c1")
    with pytest.raises(SpecError, match=r"learns from the images of .* alone; leave the finished teacher out"):
        settings().recipe("toy", task, BUDGET, finished)
    inputs = open_inputs(more_inputs(task), task)
    with pytest.raises(SpecError, match=r"learns from the images of .* alone; leave --unlabelled out"):
        settings().recipe("toy", task, BUDGET, None, inputs)
    with pytest.raises(BudgetError, match="is below the smallest subnet"):
        settings().recipe("toy", task, Budget(macs=10))


@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "unpaired"])
def test_from_data_to_a_report_and_another_budget(
    cli: Callable[..., Outcome], task: Task, tmp_path: Path, pairs: bool
):
    out = tmp_path / "run"
    words = shlex.split(
        f"--budget 100M --size {SIZE} --method in-place --set discriminator.width=2 --set form.blocks=1 "
        "--set form.widths=[4,4,4,4,4,4] --set space=4_2 --set search.population=2 --set search.generations=0 "
        "--set schedule.constant=1 --set schedule.decay=0 --set timed=null "
        f"""--set tuning='{{"constant": 1, "batch_size": {4 if pairs else 1}}}'"""
    )
    ended = cli("compress", task.root, *words, *([] if pairs else ["--unpaired"]), "--out", out)
    assert ended.code == 0, ended.err
    report = json.loads((out / "report.json").read_text())
    published, teacher, small, scratch = report["rows"]
    assert [row["kind"] for row in report["rows"]] == ["published", "teacher", "compressed", "scratch"]
    assert small["macs"] <= teacher["macs"] <= report["budget_macs"] < published["macs"]
    assert published["macs"] == cost(ResnetSpec.uniform(64), SIZE, SIZE)["macs"]
    assert (scratch["subnet"], scratch["macs"]) == (small["subnet"], small["macs"])
    assert scratch["scores"] != small["scores"]
    metric = "l1" if pairs else "fd_mobilenet_v2"
    low, high = report["from_scratch"][metric]
    assert low <= small["scores"][metric] - scratch["scores"][metric] <= high
    # two epochs are the least, and supernet and fine-tuning have one each
    assert report["guard"] == 1
    assert "trained from scratch on 100% as many images" in " ".join(ended.out.split())
    assert '<th scope="row">supernet</th>' in (out / "report.html").read_text()
    assert sum("the teacher is the supernet's largest subnet" in note for note in report["notes"]) == 1
    ended = cli("pick", out)
    assert ended.code == 0, ended.err


def test_the_guard_learns_from_its_share_of_the_images(task: Task, unpaired: Task):
    short = Schedule(constant=20, batch_size=2)
    made = settings(schedule=short, tuning=short, guard=0.25)
    own = guarded(made.recipe("toy", task, BUDGET), made)
    assert list(own.stages)[-1] == own.roles.guard == FROM_SCRATCH
    guard = own.guard
    assert (guard.like, guard.schedule.epochs, guard.steps) == (
        own.result,
        10,
        own["supernet"].steps / 2,
    )
    assert guard.objective == Pix2PixSettings(lr=made.objective.lr)
    assert guarded(made.recipe("toy", task, BUDGET), settings(guard=0)).guard is None
    made = settings(guard=0.25, **APART)
    guard = guarded(made.recipe("toy", unpaired, BUDGET), made).guard
    assert guard.objective == CycleGanSettings(lr=made.objective.lr)
    assert guard.discriminator == made.discriminator


def test_its_form_has_norms_that_disappear_with_pairs_alone(task: Task, unpaired: Task):
    """CycleGAN's batches of one image are too few for batch norm, which is refused there in words."""
    forms = {}
    for each, game in ((task, "pix2pix"), (unpaired, "cyclegan")):
        made = method_named("in-place").settings(Wish(game=GAMES[game], task=each, budget=BUDGET, effort="quick"))
        forms[game] = (made.form.norm, made.form.separable_norm, made.form.padding)
    assert forms == {"pix2pix": ("batch", "batch", "zero"), "cyclegan": ("instance", "instance", "reflect")}
    alone = settings(
        form=ResnetSpec.uniform(4, blocks=1).mobile.with_fixed_norms, schedule=Schedule(constant=1, batch_size=1)
    )
    with pytest.raises(
        SpecError, match="batch norm needs batches of several images, and batch_size is 1; make it 4"
    ):
        alone.recipe("toy", task, BUDGET)
