"""OMGD and Pocket: how their settings become stages, and toy runs from data to a report."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pocketgan.catalog.omgd import ROWS
from pocketgan.data.batches import Batch
from pocketgan.data.inputs import open_inputs
from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.elastic.sampling import ResolutionSampling
from pocketgan.errors import BudgetError, DataError, SpecError
from pocketgan.methods import method_named
from pocketgan.methods.omgd import Omgd
from pocketgan.methods.pocket import POCKET, Pocket
from pocketgan.models import save_model
from pocketgan.networks import (
    DeepResnetSpec,
    PatchSpec,
    ResnetSpec,
    SharedPatchSpec,
    UnetSpec,
    init_normal,
)
from pocketgan.objectives.bursts import BurstSettings, turns
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline import timing
from pocketgan.pipeline.games import FeatureNetwork
from pocketgan.pipeline.online import TeacherOf
from pocketgan.pipeline.owner import claim
from pocketgan.pipeline.recipe import owner, read_recipe
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.pipeline.timing import step_of
from pocketgan.recipes.changes import changed
from pocketgan.recipes.games import GAMES
from pocketgan.recipes.imitation import ImitationRecipeSettings, of_finished_teachers, widest
from pocketgan.recipes.method import Wish
from pocketgan.runs.run import estimate_seconds
from pocketgan.runtime import Runtime
from pocketgan.search import Nsga2, Random
from pocketgan.training.schedule import Schedule
from tests.conftest import Outcome, draw_pairs
from tests.methods.test_supernet_runs import available, draw_unpaired

Cli = Callable[..., Outcome]
SIZE = 32
SHORT = Schedule(constant=1, decay=1, batch_size=2)
BUDGET = Budget(macs=10**8)
WIDE = ResnetSpec.uniform(4, blocks=1).mobile


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs, two sets without pairs, and inputs without a partner."""
    home = tmp_path_factory.mktemp("online")
    draw_pairs(home / "pairs", size=SIZE)
    draw_unpaired(home / "unpaired", size=SIZE)
    draw_pairs(home / "more", count=5, size=SIZE, seed=1)
    return home


@pytest.fixture(scope="module", params=["pairs", "unpaired"])
def task(request: pytest.FixtureRequest, home: Path) -> Task:
    return open_task(home / request.param, size=SIZE)


@pytest.fixture(scope="module")
def pairs(home: Path) -> Task:
    return open_task(home / "pairs", size=SIZE)


@pytest.fixture(scope="module")
def unpaired(home: Path) -> Task:
    return open_task(home / "unpaired", size=SIZE)


@pytest.fixture
def given(tmp_path: Path) -> TeacherFile:
    network = init_normal(ResnetSpec.uniform(4, blocks=1).build(), torch.Generator().manual_seed(0))
    save_model(tmp_path / "teacher", network, {"size": [SIZE, SIZE], "direction": "AtoB"})
    return TeacherFile.of(tmp_path / "teacher")


def parts(paired: bool, **changes: Any) -> dict[str, Any]:
    """What both methods take, at toy size."""
    own: dict[str, Any] = dict(
        wide=WIDE,
        deep=DeepResnetSpec.uniform(1) if paired else None,
        discriminator=PatchSpec(in_channels=6 if paired else 3, width=2),
        objective=OnlineSettings(n_dis=2) if paired else BurstSettings(n_dis=2, every=1),
        schedule=SHORT,
        seed=5,
    )
    return {**own, **changes}


def omgd(task: Task, **changes: Any) -> Omgd:
    return Omgd(**parts(task.paired, **changes))


def pocket(task: Task, **changes: Any) -> Pocket:
    own = dict(space="4_2", search=Random(candidates=2), calibration=4, tuning=SHORT, timed=None)
    return Pocket(**parts(task.paired, **{**own, **changes}))


# -- how settings become stages ------------------------------------------------------------------------------------


def test_the_stages_of_omgd(task: Task, home: Path):
    inputs = open_inputs(home / "more" / "A", task)
    settings = omgd(task, metric="kd_mobilenet_v2", precision="bf16")
    made = settings.recipe("toy", task, BUDGET, None, inputs)
    assert list(made.stages)[:2] == ["student", "teacher"], "it is there when the student is"
    student = made["student"]
    assert (made.method, made.result, made.search) == ("omgd", student, None)
    assert made.teacher == student.teacher == TeacherOf(source=student, role="teacher")
    assert (student.wide, student.deep, student.teachers) == (settings.wide, settings.deep, None)
    assert (student.objective, student.schedule) == (settings.objective, SHORT)
    assert (student.seed, student.precision, student.feature_network) == (5, "bf16", FeatureNetwork())
    assert (student.splits, student.unlabelled) == (("train",), inputs)
    assert made.metric == student.metric == "kd_mobilenet_v2"
    assert (made.scores(made.teacher).teacher, made.scores(student).teacher) == (None, made.teacher)
    assert "kd_mobilenet_v2" in made.scores(student).metrics
    if task.paired:
        assert student.discriminator == SharedPatchSpec(width=2, heads=2, shared=5)
    else:
        assert student.discriminator == PatchSpec(in_channels=3, width=2)


def test_a_warm_up_comes_before_the_student(pairs: Task, unpaired: Task):
    """The supernet starts from the teacher's most important channels, and the teacher learns on."""
    settings = pocket(pairs, deep=None, warm_up=Schedule(constant=3), tuning=None)
    made = settings.recipe("toy", pairs, BUDGET)
    assert list(made.stages)[:4] == ["warm-up", "supernet", "teacher", "search"]
    first, supernet = made["warm-up"], made["supernet"]
    assert (first.generator, first.discriminator, first.schedule) == (
        WIDE,
        settings.discriminator,
        Schedule(constant=3),
    )
    assert (first.objective, first.seed) == (settings.objective.teaching, settings.seed)
    assert (supernet.init, supernet.teachers, supernet.wide) == (first, first, None)
    assert (supernet.discriminator, supernet.objective.n_dis) == (settings.discriminator, 2)
    assert made.teacher == TeacherOf(source=supernet, role="teacher")
    for changes in ({"deep": DeepResnetSpec.uniform(1)}, {"objective": BurstSettings()}):
        with pytest.raises(ValueError, match="a warm-up is for a wide teacher alone"):
            pocket(pairs, **{"deep": None, "warm_up": Schedule(constant=3), **changes})


def test_a_finished_mobile_teacher_gives_the_first_weights_too(pairs: Task, tmp_path: Path, given: TeacherFile):
    network = init_normal(WIDE.build(), torch.Generator().manual_seed(0))
    save_model(tmp_path / "mobile", network, {"size": [SIZE, SIZE], "direction": "AtoB"})
    mobile = TeacherFile.of(tmp_path / "mobile")
    assert pocket(pairs).recipe("toy", pairs, BUDGET, mobile)["supernet"].init == mobile
    assert pocket(pairs).recipe("toy", pairs, BUDGET, given)["supernet"].init is None, "its convolutions are dense"


def test_a_supernet_starts_from_a_teacher_that_it_is_a_part_of(pairs: Task, tmp_path: Path):
    """From scratch where a finished one is narrower; a warm-up for nothing is refused."""
    save_model(tmp_path / "mobile", init_normal(WIDE.build(), torch.Generator().manual_seed(0)), {})
    mobile, warm = TeacherFile.of(tmp_path / "mobile"), dict(deep=None, warm_up=Schedule(constant=1))
    spaces = {"4": True, "3_2": True, "8_4": False, "4,depth=2_1": False, "4,kernel=5_3": False}
    for space, part in spaces.items():
        made = pocket(pairs, space=space, tuning=None).recipe("toy", pairs, BUDGET, mobile)
        assert made["supernet"].init == (mobile if part else None)
        settings = pocket(pairs, space=space, tuning=None, **warm)
        if part:
            assert settings.recipe("toy", pairs, BUDGET)["supernet"].init.generator == WIDE
        else:
            with pytest.raises(SpecError, match=f"the space {space} holds networks that are no narrower form of"):
                settings.recipe("toy", pairs, BUDGET)
    dense = pocket(pairs, wide=ResnetSpec.uniform(4, blocks=1), **warm)
    with pytest.raises(SpecError, match="make that a mobile one as wide and as deep, or set warm_up to null"):
        dense.recipe("toy", pairs, BUDGET)


def test_the_stages_of_pocket(task: Task, home: Path):
    inputs = open_inputs(home / "more" / "A", task)
    settings = pocket(task, metric="kd_mobilenet_v2", timed=3)
    made = settings.recipe("toy", task, BUDGET, None, inputs)
    assert list(made.stages)[:6] == ["supernet", "teacher", "search", "subnet", "fine-tuning", "front latency"]
    supernet, tuned = made["supernet"], made["fine-tuning"]
    assert (made.method, made.result, "student" in made.stages) == ("pocket", tuned, False)
    assert (supernet.space.spec.widths, supernet.splits) == (WIDE.widths, ("train",))
    assert (made.search.supernet, made.search.budget) == (supernet, BUDGET)
    assert (made.search.metric, made.search.calibration, made.search.seed) == ("kd_mobilenet_v2", 4, 5)
    assert supernet.metric == ("fd_mobilenet_v2" if task.paired else "kd_mobilenet_v2"), "it chooses teachers"
    assert (tuned.init, tuned.teachers, tuned.unlabelled) == (made["subnet"], supernet, inputs)
    assert tuned.objective == (settings.objective if task.paired else of_finished_teachers(settings.objective))
    assert (made.front_latency.search, made.front_latency.points) == (made.search, 3)
    short = pocket(task, tuning=None).recipe("toy", task, BUDGET)
    assert short.result == short["subnet"]


def test_a_finished_teacher_is_imitated_as_it_is(task: Task, given: TeacherFile):
    made = omgd(task).recipe("toy", task, BUDGET, given)
    assert list(made.stages)[:2] == ["teacher", "student"]
    student = made["student"]
    assert made.teacher == student.teachers == given
    assert (student.wide, student.deep) == (None, None)
    assert (student.objective.kind, student.objective.n_dis) == ("online", 0)
    assert student.schedule.epochs == (2 if task.paired else 2 * SHORT.epochs), "as long as it learns beside others"
    assert student.student == WIDE, "the teacher's form, decomposed"
    both = pocket(task).recipe("toy", task, BUDGET, given)
    assert (both.teacher, both["supernet"].teachers, both["fine-tuning"].teachers) == (
        given,
        given,
        both["supernet"],
    )
    assert both["supernet"].objective.n_dis == both["fine-tuning"].objective.n_dis == 0
    assert of_finished_teachers(POCKET) == POCKET.model_copy(update={"n_dis": 0}), (
        "the truth is imitated all the same"
    )


def test_all_but_what_is_searched_may_learn_from_all_of_train(pairs: Task):
    whole = ("train", "select")
    assert omgd(pairs, whole_train=True).recipe("toy", pairs, BUDGET)["student"].splits == whole
    made = pocket(pairs, whole_train=True).recipe("toy", pairs, BUDGET)
    assert (made["supernet"].splits, made["fine-tuning"].splits) == (("train",), whole)


@pytest.mark.parametrize("without", ["wide", "deep"])
def test_one_teacher_alone(pairs: Task, without: str):
    settings = omgd(pairs, **{without: None}, objective=OnlineSettings(channel=0), student=WIDE)
    made = settings.recipe("toy", pairs, BUDGET)
    assert made.teacher.role == ("deep_teacher" if without == "wide" else "teacher")
    assert made["student"].discriminator == settings.discriminator, "nothing is shared"


def test_a_term_less_look_needs_no_sight(pairs: Task):
    made = omgd(pairs, objective=OnlineSettings(style=0, feature=0)).recipe("toy", pairs, BUDGET)
    assert made["student"].feature_network is None


@pytest.mark.parametrize(
    "form", [ResnetSpec.uniform(8).mobile, UnetSpec.uniform(8, levels=5)], ids=lambda f: f.kind
)
@pytest.mark.parametrize("text", ["6M", "2M", "params=20K", "macs=10M,params=40K"])
def test_the_widest_student_within_the_budget(pairs: Task, form: Any, text: str):
    budget = Budget.parse(text)
    fitting = []
    for width in range(1, 9):
        spec = form.resized((width,) * len(form.widths))
        costs = cost(spec, SIZE)
        if all(costs[name] <= bound for name, bound in budget.bounds.items()):
            fitting.append(spec)
    if fitting:
        assert widest(form, budget, pairs) == fitting[-1]
    else:
        with pytest.raises(BudgetError, match=f"below the smallest {form.kind}, of one channel"):
            widest(form, budget, pairs)


def test_read_again_from_its_run_folder(task: Task, home: Path, given: TeacherFile, tmp_path: Path):
    """With the two places of its images."""
    inputs = open_inputs(home / "more" / "A", task)
    recipes = [
        omgd(task).recipe("toy", task, BUDGET),
        omgd(task).recipe("toy", task, BUDGET, None, inputs),
        pocket(task).recipe("toy", task, BUDGET, given, inputs),
    ]
    for number, made in enumerate(recipes):
        folder = tmp_path / f"run{number}"
        with claim(folder, owner(made)):
            pass
        again = read_recipe(folder)
        assert again.digest == made.digest
        assert again.task.root == again.result.task.root == task.root.resolve()
        if made.unlabelled:
            assert again.unlabelled.root == inputs.root.resolve()
            assert again.unlabelled.files() == inputs.files()
    assert recipes[0].digest != recipes[1].digest


# -- changing settings ---------------------------------------------------------------------------------------------


def test_changes_reach_either_kind_of_settings(pairs: Task):
    made = changed(omgd(pairs), ["objective.n_dis=4", "student=mobile-resnet:2", "deep=null", "schedule.decay=7"])
    assert isinstance(made, Omgd)
    assert (made.objective.n_dis, made.student, made.deep) == (4, ResnetSpec.uniform(2).mobile, None)
    assert made.schedule.decay == 7
    made = changed(pocket(pairs), ["space=8", "wide=unet:8", "tuning=null", "objective.channel=0"])
    assert isinstance(made, Pocket)
    assert (made.space, made.wide, made.tuning) == ("8", UnetSpec.uniform(8), None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["wide=null", "deep=null"],
            "a student needs a teacher, and there is neither a wide nor a deep one; choose",
        ),
        (["wide=null"], "channel distillation needs a wide teacher; set objective.channel to 0 without one"),
        (["shared=6"], "a discriminator of 3 layers has fewer convolutions to share"),
        (["objective.n_dis=-1"], "--set objective.n_dis=-1: input should be greater than or equal to 0"),
        (["metric=fdd"], "unknown metric 'fdd'"),
        (["space=4_2"], "unknown setting 'space'"),
    ],
)
def test_changes_that_cannot_be_made(pairs: Task, changes: list[str], message: str):
    with pytest.raises(SpecError) as error:
        changed(omgd(pairs), changes)
    assert message in str(error.value)


def test_a_score_against_a_teacher_that_is_finished(unpaired: Task, given: TeacherFile):
    """It may choose where there is no choice among teachers."""
    made = pocket(unpaired, metric="teacher_l1").recipe("toy", unpaired, BUDGET, given)
    assert (made.search.metric, made.scores(made.result).teacher) == ("teacher_l1", given)


@pytest.mark.parametrize("method", [omgd, pocket])
def test_resolutions_are_those_that_all_players_can_take(
    pairs: Task, unpaired: Task, given: TeacherFile, method: Any
):
    """Only teachers that learn with pairs meet their discriminator at a lower resolution."""

    def refusal(task: Task, teacher: TeacherFile | None, *sides: int) -> str:
        sampling = ResolutionSampling(sizes=sides)
        settings = method(task)
        objective = settings.objective.model_copy(update={"sampling": sampling})
        try:
            settings.model_copy(update={"objective": objective}).recipe("toy", task, BUDGET, teacher)
        except SpecError as error:
            return str(error)
        return ""

    assert refusal(pairs, None, SIZE, 24) == ""
    assert refusal(pairs, None, SIZE, 20) == (
        "a resolution of 20 is too small for a shared_patch discriminator, which judges images from 24 pixels on; "
        "leave it out"
    )
    assert refusal(pairs, given, 20) == refusal(unpaired, None, 20) == refusal(unpaired, given, 20) == ""
    assert "a resolution of 64 is larger than the images" in refusal(pairs, None, 64)
    assert "size 22 does not fit a resnet" in refusal(unpaired, None, 22)


def test_what_is_refused_before_anything_runs(pairs: Task, unpaired: Task, home: Path, given: TeacherFile):
    inputs = open_inputs(home / "more" / "A", pairs)

    def refused(settings: ImitationRecipeSettings, message: str, task: Task = pairs, **more: Any) -> None:
        with pytest.raises((SpecError, BudgetError, DataError)) as error:
            settings.recipe("toy", task, **{"budget": BUDGET, **more})
        assert str(error.value).startswith(message)

    always = dict(objective=OnlineSettings(n_dis=1))
    refused(omgd(pairs, **always), "inputs without a partner are for steps at which", unlabelled=inputs)
    refused(omgd(pairs, objective=OnlineSettings(n_dis=0)), "objective.n_dis=0 is for finished teachers; set")
    blind = dict(wide=None, objective=OnlineSettings(channel=0))
    lack = "without a wide teacher nothing says what the student is; name one with --set"
    refused(omgd(pairs, **blind), f"{lack} student=")
    refused(pocket(pairs, **blind), f"{lack} wide=")
    refused(omgd(unpaired, whole_train=True), "without pairs the teacher is chosen on the selection", unpaired)
    refused(omgd(pairs, student=UnetSpec.uniform(2, levels=5)), "channel distillation compares a resnet teacher")
    tiny = dict(budget=Budget(macs=1000))
    refused(omgd(pairs, student=WIDE), "the student costs 2.01 M MACs and the budget is 1.00 k MACs; raise", **tiny)
    refused(omgd(pairs), "budget 1.00 k MACs is below the smallest resnet, of one channel", **tiny)
    refused(pocket(pairs), "budget 1.00 k MACs is below the smallest subnet of 4_2", **tiny)
    refused(omgd(unpaired), "cyclegan learns from two sets of images without pairs, and ")
    refused(omgd(pairs), "pix2pix learns from pairs of images, and ", unpaired)
    refused(omgd(unpaired, metric="teacher_l1"), "teacher_l1 cannot choose among teachers; set metric", unpaired)
    lacks = f"a search by l1 needs pairs, and {unpaired.root} has none; search by fd_mobilenet_v2"
    refused(omgd(unpaired, metric="l1"), lacks, unpaired)
    refused(omgd(unpaired, metric="l1"), f"{lacks} or teacher_l1", unpaired, teacher=given)
    refused(pocket(pairs, metric="miou"), "a search by miou needs a segmenter")


def test_what_the_terms_look_through(pairs: Task, tmp_path: Path):
    """The user's weights of a VGG, else the bundled network; the paper's VGG16 where the settings ask for it."""
    settings = omgd(pairs)
    assert available(settings) == (settings, [])
    (tmp_path / "vgg.pth").write_bytes(b"nothing")
    for name in ("vgg16", "vgg19"):
        with pytest.raises(DataError, match=r"vgg\.pth is no checkpoint"):
            available(settings, {name: tmp_path / "vgg.pth"})
    zebra = ROWS[-4].settings()
    assert (zebra.feature_network.name, zebra.metric) == ("vgg16", "fid_legacy")
    seen, (note, _) = available(zebra)
    assert (seen.feature_network, seen.metric) == (FeatureNetwork(), "fd_mobilenet_v2")
    assert note.startswith("perceptual terms look through the bundled mobilenet_v2, because vgg16 needs its")
    with pytest.raises(DataError, match="vgg16 needs its trained weights"):
        available(zebra, asked={"feature_network"})
    blind = omgd(pairs, objective=OnlineSettings(style=0, feature=0))
    with pytest.raises(SpecError, match="vgg19 was given, and nothing here looks through it"):
        available(blind, {"vgg19": tmp_path / "vgg.pth"})


# -- efforts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", ["quick", "standard", "paper"])
def test_every_effort_makes_a_recipe(task: Task, effort: Any):
    game = GAMES["pix2pix" if task.paired else "cyclegan"]
    for budget in (Budget(macs=3 * 10**6), Budget(macs=10**12)):
        settings = method_named("omgd")(Wish(effort=effort, task=task, game=game, budget=budget))
        made = settings.recipe("toy", task, budget)
        student, wide = (max(spec.widths) for spec in (made["student"].student, made["student"].wide))
        assert wide == 4 * student or (wide == {"quick": 48, "standard": 64, "paper": 96}[effort] <= 4 * student)
        assert settings.deep == (DeepResnetSpec.uniform(wide // 4) if task.paired else None)
        assert isinstance(settings.objective, OnlineSettings if task.paired else BurstSettings)
        assert settings.feature_network == FeatureNetwork(), "the bundled network"
    both = method_named("pocket")(Wish(effort=effort, task=task, game=game))
    made = both.recipe("toy", task, Budget(macs=10**12))
    assert isinstance(made.search.strategy, Nsga2)
    assert made["supernet"].objective == both.objective
    if task.paired:
        assert (made["supernet"].wide, made["supernet"].teachers, made["supernet"].init) == (
            None,
            made["warm-up"],
            made["warm-up"],
        )
        assert (made["warm-up"].generator, both.objective) == (both.wide, POCKET)
    else:
        assert (made["supernet"].wide, "warm-up" in made.stages, made["supernet"].init) == (both.wide, False, None)
        assert (both.objective.pixel, both.objective.lr) == (POCKET.pixel, POCKET.lr)


@pytest.mark.parametrize("method", ["omgd", "pocket"])
@pytest.mark.parametrize("model", ["gaugan", "munit"])
def test_models_that_they_do_not_know(pairs: Task, model: Any, method: Any):
    with pytest.raises(SpecError) as error:
        method_named(method)(Wish(effort="quick", task=pairs, game=GAMES[model], budget=BUDGET))
    assert str(error.value) == (
        f"{method} compresses pix2pix and cyclegan, and this is {model}; choose --method fast-gan-compression "
        "or gan-compression"
    )


# -- how long it takes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [SHORT, Schedule(constant=1)])
@pytest.mark.parametrize("times", [1, 2, 500])
def test_one_step_of_each_kind_is_measured(task: Task, schedule: Schedule, times: int):
    """Their shares are those of the steps of a whole round, counted."""
    settings = omgd(task, schedule=schedule)
    objective = settings.objective.model_copy(update={"n_dis": times})
    stage = settings.model_copy(update={"objective": objective}).recipe("toy", task, BUDGET)["student"]
    batch = Batch(torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 3, SIZE, SIZE), ())
    play, shares = step_of(stage, batch, Runtime(device="cpu")), stage.shares
    kinds = [any(name.startswith("D_") for name in play()) for _ in shares]
    assert kinds == [any(name.startswith("D_") for name in play()) for _ in shares], "they alternate"
    if task.paired:
        teaches = [step % times == 0 for step in range(1, times + 1)]
        assert stage.epochs == schedule.epochs
    else:
        teaches = [turn.teaches for turn in turns(schedule.epochs, objective)]
        assert stage.epochs == len(teaches)
    assert dict(zip(kinds, shares, strict=True)) == pytest.approx(
        {kind: teaches.count(kind) / len(teaches) for kind in set(teaches)}
    )


def test_the_time_of_a_training_is_that_of_its_steps(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A teachers' step of one second among 500 of a tenth each: a few of each are enough to tell."""
    clock, played = SimpleNamespace(now=0.0), []

    def toy_step(stage: Any, batch: Batch, runtime: Runtime) -> Callable[[], None]:
        def play() -> None:
            teaches = len(played) % 2 == (1 if task.paired else 0)
            played.append(teaches)
            clock.now += 1.0 if teaches else 0.1

        return play

    monkeypatch.setattr(timing, "step_of", toy_step)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    settings = omgd(task)
    objective = settings.objective.model_copy(update={"n_dis": 500})
    recipe = settings.model_copy(update={"objective": objective}).recipe("toy", task, BUDGET)
    seconds = estimate_seconds(recipe, Store(tmp_path), Runtime(device="cpu"))["student"]
    steps = SHORT.epochs * (task.epoch() // SHORT.batch_size)
    every = (499 * 0.1 + 1.0) / 500 if task.paired else 500 * 0.1 + 1.0
    assert seconds == pytest.approx(steps * every)
    assert len(played) <= 8
