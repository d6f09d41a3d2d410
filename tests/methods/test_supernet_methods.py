"""GAN Compression, fast or not: how its settings become stages."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.sampling import ResolutionSampling
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import BudgetError, DataError, SpecError
from pocketgan.methods.fast_gan_compression import FastGanCompression
from pocketgan.methods.gan_compression import GanCompression
from pocketgan.methods.once_for_all import OnceForAll
from pocketgan.models import save_model
from pocketgan.networks import MunitSpec, PatchSpec, ResnetSpec, init_normal
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.munit_distil import MunitDistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.owner import claim
from pocketgan.pipeline.recipe import owner, read_recipe
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.search import Evolution
from pocketgan.training.schedule import Schedule
from tests.conftest import draw_pairs

SETTINGS = FastGanCompression(
    teacher=ResnetSpec.uniform(4, blocks=3, norm="batch"),
    discriminator=PatchSpec(width=4, layers=1),
    objective=Pix2PixSettings(recon=10),
    teaching=Schedule(constant=1),
    space="4_2",
    distillation=DistilSettings(distil=0.5),
    supernet=Schedule(constant=2),
    search=Evolution(population=3, generations=1),
    metric="l1",
    tuning=Schedule(constant=3),
    seed=5,
)
BUDGET = Budget(macs=10**9)


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Task:
    return open_task(draw_pairs(tmp_path_factory.mktemp("fast") / "pairs"), size=16)


def recipe(task: Task, finished: TeacherFile | None = None, budget: Budget = BUDGET, **changes):
    """Of the method whose settings these are."""
    kind = FastGanCompression
    if changes.get("predistillation"):
        kind = GanCompression
    elif changes.pop("shrinking", False):
        kind = OnceForAll
    changes = {name: value for name, value in changes.items() if name != "predistillation" or value}
    return kind(**{**dict(SETTINGS), **changes}).recipe("toy", task, budget, finished)


@pytest.mark.parametrize("predistillation", [None, Schedule(constant=1)])
def test_resolutions_that_the_discriminator_cannot_take(task, predistillation):
    larger = task.model_copy(update={"size": (24, 24), "load_size": (24, 24)})

    def made(*sides: int):
        distillation = DistilSettings(sampling=ResolutionSampling(sizes=sides))
        judge = PatchSpec(width=4, layers=3)
        return recipe(larger, distillation=distillation, discriminator=judge, predistillation=predistillation)

    assert made(24)["supernet"].objective.sampling.sizes == (24,)
    with pytest.raises(SpecError) as error:
        made(24, 20)
    assert str(error.value) == (
        "a resolution of 20 is too small for a patch discriminator, which judges images from 24 pixels on; leave "
        "it out"
    )


@pytest.fixture
def given_teacher(tmp_path) -> TeacherFile:
    return given(tmp_path, ResnetSpec.uniform(3, blocks=3))


def given(folder: Path, spec: ResnetSpec) -> TeacherFile:
    network = init_normal(spec.build(), torch.Generator().manual_seed(0))
    save_model(folder / "teacher", network, {"size": [16, 16]})
    return TeacherFile.of(folder / "teacher")


def test_stages_in_their_order(task):
    assert list(recipe(task).all_stages) == [
        "teacher",
        "supernet",
        "search",
        "subnet",
        "fine-tuning",
        "scores of the teacher",
        "export of the teacher",
        "scores of the compressed",
        "export of the compressed",
        "teacher on select",
    ]


def test_every_setting_arrives(task):
    made = recipe(task)
    assert made.teacher.generator == SETTINGS.teacher
    assert made.teacher.objective == SETTINGS.objective
    assert made["supernet"].space == space_named(
        "4_2", ResnetSpec.uniform(1, blocks=3, norm="batch", separable=("residual",))
    )
    assert made["supernet"].init is None, "the supernet starts from scratch"
    assert (made["supernet"].objective, made["fine-tuning"].objective) == (SETTINGS.distillation,) * 2
    assert [stage.schedule.constant for stage in (made.teacher, made["supernet"], made["fine-tuning"])] == [1, 2, 3]
    assert (made.search.strategy, made.search.metric, made.search.budget) == (SETTINGS.search, "l1", BUDGET)
    assert made["subnet"].search == made.search
    assert (made["fine-tuning"].init, made["fine-tuning"].inherited, made["fine-tuning"].teacher) == (
        made["subnet"],
        made["supernet"],
        made.teacher,
    )
    assert made.result == made["fine-tuning"]
    for stage in (made.teacher, made["supernet"], made["fine-tuning"]):
        assert (stage.task, stage.discriminator, stage.precision, stage.seed) == (
            task,
            SETTINGS.discriminator,
            "fp32",
            5,
        )
    assert made.search.seed == 5


def test_gan_compression_has_a_student_in_between(task, given_teacher):
    """The supernet starts from the narrow student and its discriminator; that one from the teacher's."""
    changes = dict(teacher=ResnetSpec.uniform(6, blocks=3).mobile, predistillation=Schedule(constant=7))
    made = recipe(task, **changes)
    assert (made.method, recipe(task).method) == ("gan-compression", "fast-gan-compression")
    assert list(made.stages)[:4] == ["teacher", "pre-distillation", "supernet", "search"]
    assert (made["pre-distillation"].init, made["pre-distillation"].inherited) == (made.teacher, made.teacher)
    assert (made["pre-distillation"].student, made["pre-distillation"].schedule.constant) == (
        made["supernet"].space.spec,
        7,
    )
    assert (made["supernet"].init, made["supernet"].inherited) == (
        made["pre-distillation"],
        made["pre-distillation"],
    )
    # a dense teacher's channels cannot be pruned, and one without a discriminator has none to inherit
    alone = recipe(task, given_teacher, predistillation=Schedule(constant=7))
    assert (alone["pre-distillation"].init, alone["pre-distillation"].inherited) == (None, None)


def test_once_for_all_shrinks_its_teacher(task):
    """The teacher is the largest network of the space, whatever form and widths it was given."""
    made = recipe(task, shrinking=True, space="4_2,depth=3_1,kernel=5_3")
    assert made.method == "once-for-all"
    assert list(made.stages)[:7] == ["teacher", "phase 1", "phase 2", "sorting", "supernet", "search", "subnet"]
    assert made.teacher.generator == made["supernet"].space.spec
    assert (made.teacher.generator.kernel, made.teacher.schedule) == (5, SETTINGS.teaching)
    kernel, depth, sorted_ = made["phase 1"], made["phase 2"], made["sorting"]
    assert (kernel.init, kernel.inherited, kernel.teacher) == (made.teacher,) * 3
    assert (depth.init, sorted_.network, made["supernet"].init, made["supernet"].inherited) == (
        kernel,
        depth,
        sorted_,
        depth,
    )
    assert {phase.schedule for phase in (kernel, depth, made["supernet"])} == {SETTINGS.supernet}
    assert (made["fine-tuning"].inherited, made["fine-tuning"].teacher) == (made["supernet"], made.teacher)


def test_a_narrower_student_may_shrink_too(task):
    """Between is a student of the teacher: it begins as the space's largest network."""
    changes = dict(teacher=ResnetSpec.uniform(6, blocks=3).mobile, predistillation=Schedule(constant=7))
    changes |= dict(shrinking=True, space="4_2,depth=3_1")
    made = recipe(task, **changes)
    assert made.method == "gan-compression"
    assert made.teacher.generator == changes["teacher"]
    depth, sorted_ = made["phase 1"], made["sorting"]
    assert (depth.init, depth.inherited, depth.teacher) == (
        made["pre-distillation"],
        made["pre-distillation"],
        made.teacher,
    )
    assert (sorted_.network, made["supernet"].init, made["supernet"].inherited) == (depth, sorted_, depth)


def test_a_finished_teacher_that_shrinks(task, tmp_path):
    """Only as the largest network itself; without its discriminator a fresh one judges."""
    teacher = given(tmp_path, ResnetSpec.uniform(3, blocks=3).mobile)
    made = recipe(task, teacher, shrinking=True, space="3_2")
    assert made.teacher == teacher
    assert (made["sorting"].network, made["supernet"].inherited) == (teacher, None)
    with pytest.raises(SpecError) as error:
        recipe(task, teacher, shrinking=True, space="3_2,kernel=5_3")
    assert str(error.value) == (
        "once-for-all shrinks its teacher, and this one is not the largest network of 3_2,kernel=5_3; leave out "
        "--teacher, or choose --method gan-compression and add --set shrinking=true"
    )


def test_the_papers_teachers_see_all_of_train(task):
    made = recipe(task, whole_train=True)
    assert made.teacher.splits == made["fine-tuning"].splits == ("train", "select")
    assert made["supernet"].splits == ("train",), "what is searched never saw the selection split"


def test_without_fine_tuning(task):
    made = recipe(task, tuning=None)
    assert made.result == made["subnet"]
    assert "fine-tuning" not in made.stages


def test_a_given_teacher(task, given_teacher):
    made = recipe(task, given_teacher)
    assert made.teacher == made["supernet"].teacher == made["fine-tuning"].teacher == given_teacher
    assert made["supernet"].space.spec.blocks == 3


RESULT = {"scores of the compressed", "export of the compressed"}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (dict(tuning=Schedule(constant=4)), {"fine-tuning"}),
        (dict(search=Evolution(population=4, generations=1)), {"search", "subnet", "fine-tuning"}),
        (dict(supernet=Schedule(constant=4)), {"supernet", "search", "subnet", "fine-tuning"}),
    ],
    ids=["tuning", "search", "supernet"],
)
def test_a_changed_setting_spares_what_does_not_depend_on_it(task, change, changed):
    """So that the teacher is trained once for any number of students."""
    before, after = recipe(task), recipe(task, **change)
    moved = {name for name in before.all_stages if before.all_stages[name].digest != after.all_stages[name].digest}
    assert moved == changed | RESULT
    assert before.digest != after.digest


def test_read_again_from_its_run_folder(task, given_teacher, tmp_path):
    for number, made in enumerate((recipe(task), recipe(task, tuning=None), recipe(task, given_teacher))):
        folder = tmp_path / f"run{number}"
        with claim(folder, owner(made)):
            pass
        again = read_recipe(folder)
        assert again.digest == made.digest
        assert again.task == task
        assert again.task.root == task.root.resolve()


def test_the_place_of_the_data_is_no_part_of_it(task, tmp_path):
    moved = open_task(draw_pairs(tmp_path / "elsewhere"), size=16)
    assert recipe(moved).digest == recipe(task).digest
    other = open_task(draw_pairs(tmp_path / "others", seed=1), size=16)
    assert recipe(other).digest != recipe(task).digest


def test_a_teacher_by_its_name():
    settings = FastGanCompression.model_validate({**SETTINGS.model_dump(), "teacher": "mobile-resnet:8"})
    assert settings.teacher == ResnetSpec.uniform(8, separable=("residual",))
    assert FastGanCompression.model_validate_json(settings.model_dump_json()) == settings


# -- what is refused before anything runs ------------------------------------------------------------------------


def test_a_budget_out_of_reach(task):
    with pytest.raises(BudgetError) as error:
        recipe(task, budget=Budget(macs=1000))
    assert str(error.value).startswith("budget 1.00 k MACs is below the smallest subnet of 4_2 (")
    assert str(error.value).endswith(": 2_2_2_2_2_2_2_2); raise it or choose a smaller space")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(space="channels-33"), "unknown search space 'channels-33'; did you mean channels-32"),
        (
            dict(discriminator=PatchSpec(layers=3)),
            "size 16 is too small for a patch discriminator, which judges images from 24 pixels on; "
            "use --size 24 or more",
        ),
        (
            dict(distillation=DistilSettings(paired=False)),
            "whether students see pairs follows from the data; leave distillation.paired as it is",
        ),
        (dict(teacher=MunitSpec.uniform(2)), "pix2pix trains no munit; choose a teacher among resnet"),
        (dict(distillation=MunitDistilSettings()), "a student of pix2pix learns by distil; leave"),
        (dict(discriminator=PatchSpec(in_channels=3)), "here a generator makes 3 channels of 3 and its discri"),
    ],
    ids=["space", "discriminator", "unpaired", "teacher", "game", "channels"],
)
def test_settings_that_do_not_fit(task, changes, message):
    with pytest.raises(SpecError) as error:
        recipe(task, **changes)
    assert str(error.value).startswith(message)


def test_a_size_that_does_not_fit(tmp_path):
    with pytest.raises(SpecError) as error:
        recipe(open_task(draw_pairs(tmp_path / "pairs"), size=18))
    assert str(error.value) == (
        "size 18 does not fit a resnet generator, which takes multiples of 4 from 16 on; use 16 or 20"
    )


def test_too_few_images(tmp_path):
    with pytest.raises(DataError, match="has 1 pair to select on, and scores need at least 2; add images"):
        recipe(open_task(draw_pairs(tmp_path / "pairs", count=5), size=16))


def test_an_unknown_metric():
    with pytest.raises((SpecError, ValidationError), match="unknown metric 'fdd'"):
        FastGanCompression.model_validate({**json.loads(SETTINGS.model_dump_json()), "metric": "fdd"})


def test_a_teacher_that_is_none(tmp_path):
    with pytest.raises(DataError, match="holds no model"):
        TeacherFile.of(Path(tmp_path))


def test_a_student_with_further_choices(task):
    """Kernels of three cannot be made larger: that student starts from scratch."""
    mobile = ResnetSpec.uniform(4, blocks=3, separable=("residual",))

    def made(space: str):
        changes = dict(teacher=mobile, predistillation=Schedule(constant=1), space=space)
        return recipe(task, **changes)

    same, larger = made("4_2,depth=3_1,kernel=3"), made("4_2,depth=3_1,kernel=5_3")
    assert same["pre-distillation"].init == same.teacher
    assert same["supernet"].space == space_named("4_2,depth=3_1,kernel=3", mobile)
    assert larger["pre-distillation"].init is None
    assert larger["pre-distillation"].student == ResnetSpec.uniform(4, blocks=3, kernel=5, separable=("residual",))
