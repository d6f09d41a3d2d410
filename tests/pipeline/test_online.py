"""Online distillation as a stage: what it leaves, what may be brought along, and that a stop changes nothing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from pocketgan.data.inputs import open_inputs
from pocketgan.data.task import open_task
from pocketgan.elastic.spaces import space_named
from pocketgan.models import load_model
from pocketgan.networks import DeepResnetSpec, PatchSpec, ResnetSpec, SharedPatchSpec
from pocketgan.objectives.bursts import BurstSettings, turns
from pocketgan.objectives.online import OnlineDistiller, OnlineSettings
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.online import Bursts, OnlineDistil, TeacherOf
from pocketgan.pipeline.stages import stages_of, table_of
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.training import Train
from pocketgan.runtime import Runtime
from pocketgan.training.log import read_log
from pocketgan.training.schedule import Schedule
from tests.conftest import draw_pairs

WIDE = ResnetSpec.uniform(4, blocks=1, separable=("residual",))
STUDENT = ResnetSpec.uniform(2, blocks=1, separable=("residual",))
JUDGE = PatchSpec(width=2, layers=2)
PLAIN = OnlineSettings(n_dis=2, style=0, feature=0, channel=1)
RUNTIME = Runtime(device="cpu", checkpoint_seconds=0)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return open_task(draw_pairs(tmp_path_factory.mktemp("pairs")), size=16)


def online(task, **fields) -> OnlineDistil:
    given = dict(
        task=task,
        wide=WIDE,
        student=STUDENT,
        discriminator=JUDGE,
        objective=PLAIN,
        schedule=Schedule(constant=2, batch_size=2),
    )
    return OnlineDistil(**{**given, **fields})


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder).network.state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_it_leaves_the_student_and_its_teachers(task, tmp_path):
    shared = SharedPatchSpec(heads=2, shared=1, width=2, layers=2)
    stage = online(task, deep=DeepResnetSpec.uniform(1), discriminator=shared)
    artifact = Store(tmp_path).realise(stage, RUNTIME)
    assert {path.name for path in artifact.iterdir()} == {"model", "teacher", "deep_teacher", "discriminator"}
    assert load_model(artifact / "model").spec == STUDENT
    assert load_model(artifact / "teacher").spec == WIDE
    assert stage.roles == ("teacher", "deep_teacher")
    for role in stage.roles:
        product = Store(tmp_path).realise(TeacherOf(source=stage, role=role), RUNTIME)
        assert equal(state(product / "model"), state(artifact / role))
    scores = Evaluate(network=stage.teacher, task=task, metrics=("l1",))
    assert scores.load(Store(tmp_path).realise(scores, RUNTIME)).scores["l1"] > 0


class Stop(Exception):
    pass


def stopped_and_resumed(stage: OnlineDistil, folder: Path, after: int) -> Path:
    def watch(stage, done, total):
        if done == after:
            raise Stop

    with pytest.raises(Stop):
        Store(folder).realise(stage, RUNTIME, watch)
    return Store(folder).realise(stage, RUNTIME)


@pytest.mark.parametrize("after", [2, 5])
def test_a_stop_changes_nothing(task, tmp_path, after):
    averaged = PLAIN.model_copy(update={"ema": 0.5})
    stage = online(task, student=None, space=space_named("4_2", WIDE), objective=averaged)
    whole = Store(tmp_path / "whole").realise(stage, RUNTIME)
    again = stopped_and_resumed(stage, tmp_path / "stopped", after)
    for name in ("model", "teacher", "discriminator"):
        assert equal(state(whole / name), state(again / name)), name


@pytest.fixture(scope="module")
def unpaired(tmp_path_factory):
    root = draw_pairs(tmp_path_factory.mktemp("sets"))
    return {way: open_task(root, size=16, unpaired=True, direction=way) for way in ("AtoB", "BtoA")}


def bursts(task, **fields) -> OnlineDistil:
    settings = BurstSettings(style=0, feature=0, channel=1, every=1, n_dis=2)
    return online(task, objective=settings, discriminator=JUDGE.model_copy(update={"in_channels": 3}), **fields)


@pytest.mark.parametrize("way", ["AtoB", "BtoA"])
def test_bursts_go_both_ways_and_on_after_a_stop(unpaired, tmp_path, way):
    """Two epochs of the teachers and four of the student, of five steps each; stopped within the second turn of
    the student, whose teacher was chosen before."""
    stage = bursts(unpaired[way], schedule=Schedule(constant=1, decay=1, batch_size=2))
    whole = Store(tmp_path / "whole").realise(stage, RUNTIME)
    assert {path.name for path in whole.iterdir()} == {
        "model",
        "teacher",
        "backward",
        "discriminator",
        "backward_discriminator",
    }
    seen = []
    Store(tmp_path / "count").realise(stage, RUNTIME, lambda stage, done, total: seen.append((done, total)))
    total = seen[-1][1]
    assert seen == [(step, total) for step in range(1, total + 1)]
    again = stopped_and_resumed(stage, tmp_path / "stopped", total - 2)
    for name in ("model", "teacher", "backward"):
        assert equal(state(whole / name), state(again / name)), name


def test_the_learning_rate_goes_by_the_teachers_steps_alone():
    """Three steps an epoch, halved every two; a turn of the student has the rate of the last step before it."""
    every = turns(2, BurstSettings(every=1, n_dis=2))
    rates = Bursts(Schedule(constant=2, batch_size=1, halving=2), every, 3)
    wanted = [1, 1, 0.5, *[0.5] * 6, 0.5, 0.25, 0.25, *[0.25] * 6]
    assert [rates.factor(step // 3, step) for step in range(18)] == wanted
    falling = Bursts(Schedule(constant=1, decay=1), every, 3)
    assert [falling.factor(epoch, 3 * epoch) for epoch in range(6)] == [1, 1, 1, 0.5, 0.5, 0.5]


def test_finished_teachers_are_imitated_as_they_are(task, tmp_path):
    """Those of a training of one's own, and those of an online run."""
    store = Store(tmp_path)
    finished = Train(task=task, generator=WIDE, discriminator=JUDGE, schedule=Schedule(constant=1, batch_size=2))
    first = online(task)
    for source, folder in ((finished, "model"), (first, "teacher")):
        settings = PLAIN.model_copy(update={"n_dis": 0})
        stage = online(task, wide=None, teachers=source, objective=settings)
        artifact = store.realise(stage, RUNTIME)
        assert {path.name for path in artifact.iterdir()} == {"model", "teacher"}
        assert equal(state(artifact / "teacher"), state(store.artifact(source) / folder))
        assert stage.teacher == TeacherOf(source=stage, role="teacher")


def test_teachers_learn_on_where_they_stood(task, tmp_path):
    """As in the fine-tuning of a subnet: everybody begins as the run before left them."""
    store = Store(tmp_path)
    first = online(task)
    artifact = store.realise(first, RUNTIME)
    stage = online(task, wide=None, student=None, teachers=first, init=first)
    players = stage.finished(artifact)
    game = stage.build(players, load_model(artifact / "model").network, 5, None)
    assert isinstance(game, OnlineDistiller)
    for name, network in game.products.items():
        assert equal(network.state_dict(), state(artifact / name)), name
    after = store.realise(stage, RUNTIME)
    assert not equal(state(after / "teacher"), state(artifact / "teacher"))
    assert not equal(state(after / "model"), state(artifact / "model"))


def test_inputs_without_a_partner_teach_the_student_alone(task, tmp_path):
    """The teachers end as without them: they never see one."""
    folder = tmp_path / "more"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"u{number}.png")
    plain = online(task)
    more = online(task, unlabelled=open_inputs(folder, task))
    assert plain.digest != more.digest
    without = Store(tmp_path / "store").realise(plain, RUNTIME)
    withs = Store(tmp_path / "store").realise(more, RUNTIME)
    assert equal(state(without / "teacher"), state(withs / "teacher"))
    assert not equal(state(without / "model"), state(withs / "model"))
    again = stopped_and_resumed(more, tmp_path / "stopped", 3)
    assert equal(state(withs / "model"), state(again / "model"))
    shutil.move(folder, tmp_path / "elsewhere")
    assert online(task, unlabelled=open_inputs(tmp_path / "elsewhere", task)).digest == more.digest


def test_the_truth_beside_finished_teachers_and_inputs_without_a_partner(task, tmp_path):
    """Every second step has a real image to learn from."""
    folder = draw_pairs(tmp_path / "more", count=5, seed=1) / "A"
    finished = Train(task=task, generator=WIDE, discriminator=JUDGE, schedule=Schedule(constant=1, batch_size=2))
    store, left, seen = Store(tmp_path / "store"), [], []
    for truth in (False, True):
        settings = PLAIN.model_copy(update={"n_dis": 0, "truth": truth})
        stage = online(task, wide=None, teachers=finished, objective=settings, unlabelled=open_inputs(folder, task))
        artifact = store.realise(stage, Runtime(device="cpu", log_steps=1))
        left.append(state(artifact / "model"))
        log = read_log(store.home(stage) / "log.jsonl")
        seen.append(["G_ssim_truth" in line for line in log])
    assert seen[0] == [False] * len(seen[0])
    assert seen[1] == [step % 2 == 0 for step in range(1, len(seen[1]) + 1)]
    assert not equal(*left)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(wide=None), "teachers are either fresh"),
        (dict(objective=OnlineSettings(n_dis=0, style=0, feature=0)), "fresh teachers must learn"),
        (dict(objective=OnlineSettings()), "has a feature_network"),
        (
            dict(objective=BurstSettings(style=0, feature=0), deep=DeepResnetSpec.uniform(1)),
            "there is one fresh teacher, a wide one",
        ),
    ],
)
def test_what_does_not_go_together(task, fields, message):
    with pytest.raises(ValidationError, match=message):
        online(task, **fields)


def test_inputs_need_steps_without_the_teachers(task, tmp_path):
    Image.new("RGB", (24, 24)).save(tmp_path / "u.png")
    inputs = open_inputs(tmp_path, task)
    with pytest.raises(ValidationError, match="set n_dis to 2 or more"):
        online(task, unlabelled=inputs, objective=PLAIN.model_copy(update={"n_dis": 1}))


def test_it_survives_json(task):
    stage = online(task, deep=DeepResnetSpec.uniform(1))
    assert stages_of(table_of([stage]), {"data": task.root}) == {stage.digest: stage}
