"""Digests: what makes a stage another one, and what does not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.spaces import uniform_space
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.games import Sight
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import Distil, Evaluate, Export, Extract, Front, Given, Pick, Search, Train
from pocketgan.search import Evolution, Random
from pocketgan.training.schedule import Schedule

TASK = Task(root=Path("somewhere"), layout="folders", size=16, load_size=18, data_digest="d1")
TINY = ResnetSpec.uniform(2, blocks=1)
SCHEDULE = Schedule(constant=1)
TRAIN = Train(task=TASK, schedule=SCHEDULE, generator=TINY)
GIVEN = Given(file=Path("models"), generator=TINY, content="c1")
SUPERNET = Distil(task=TASK, schedule=SCHEDULE, teacher=TRAIN, space=uniform_space(TINY, (2, 1)))
SEARCH = Search(supernet=SUPERNET, budget=Budget(macs=10**9), strategy=Random(candidates=2))
EXTRACT = Extract(search=SEARCH)
FRONT = Front(search=SEARCH)
TUNED = Distil(task=TASK, schedule=SCHEDULE, teacher=TRAIN, init=EXTRACT, judge=SUPERNET)
OTHER_TASK = TASK.model_copy(update={"data_digest": "d2"})

#: for every stage another value of each of its fields
CHANGES: dict[Stage, dict[str, Any]] = {
    TRAIN: dict(
        task=OTHER_TASK,
        splits=("train", "select"),
        sight=Sight(),
        schedule=Schedule(constant=2),
        seed=1,
        precision="bf16",
        generator=ResnetSpec.uniform(3, blocks=1),
        discriminator=PatchSpec(width=2),
        objective=Pix2PixSettings(recon=10),
    ),
    GIVEN: dict(
        content="c2", direction="BtoA", discriminator=PatchSpec(), generator=ResnetSpec.uniform(3, blocks=1)
    ),
    SUPERNET: dict(
        task=OTHER_TASK,
        splits=("train", "select"),
        sight=Sight(),
        schedule=Schedule(constant=2),
        seed=1,
        precision="bf16",
        teacher=GIVEN,
        student=TINY,
        space=uniform_space(TINY, (3, 1)),
        init=GIVEN,
        judge=TRAIN,
        discriminator=PatchSpec(width=2),
        objective=DistilSettings(distil=0.1),
    ),
    SEARCH: dict(
        supernet=SUPERNET.model_copy(update={"seed": 1}),
        budget=Budget(params=10**9),
        strategy=Evolution(),
        metric="l1",
        calibration=5,
        seed=1,
    ),
    EXTRACT: dict(search=SEARCH.model_copy(update={"seed": 1})),
    FRONT: dict(search=SEARCH.model_copy(update={"seed": 1}), points=3),
    Pick(search=SEARCH, budget=Budget(macs=10**6), front=FRONT, latency_ms=2): dict(
        search=SEARCH.model_copy(update={"seed": 1}),
        budget=Budget(macs=10**5),
        front=FRONT.model_copy(update={"points": 3}),
        latency_ms=3,
    ),
    Evaluate(network=TRAIN, task=TASK): dict(
        network=EXTRACT, task=OTHER_TASK, split="select", metrics=("l1",), teacher=TRAIN
    ),
    Export(network=TRAIN, task=TASK): dict(network=EXTRACT, task=OTHER_TASK),
}


@pytest.mark.parametrize("stage", CHANGES, ids=lambda stage: stage.kind)
def test_every_field_counts(stage):
    changes = CHANGES[stage]
    left_out = {name for name, field in type(stage).model_fields.items() if field.exclude}
    assert changes.keys() == type(stage).model_fields.keys() - {"kind"} - left_out
    digests = {stage.digest, *(stage.model_copy(update={name: value}).digest for name, value in changes.items())}
    assert len(digests) == 1 + len(changes)


NESTED: list[tuple[str, BaseModel, set[str]]] = [
    ("task", TASK, {"root"}),
    ("schedule", SCHEDULE, set()),
    ("discriminator", PatchSpec(), set()),
    ("objective", Pix2PixSettings(), set()),
    ("generator", TINY, set()),
    ("sight", Sight(), {"file"}),
]


@pytest.mark.parametrize(("name", "value", "left_out"), NESTED, ids=[name for name, *_ in NESTED])
def test_every_field_of_a_field_counts(name, value, left_out):
    digests = {TRAIN.digest}
    for field in type(value).model_fields:
        other = value.model_copy(update={field: "something else"})
        digest = TRAIN.model_copy(update={name: other}).digest
        assert (digest == TRAIN.model_copy(update={name: value}).digest) == (field in left_out), field
        digests.add(digest)
    assert len(digests) >= len(type(value).model_fields) - len(left_out)


def test_places_do_not_count():
    moved = TASK.model_copy(update={"root": Path("elsewhere")})
    assert TRAIN.model_copy(update={"task": moved}).digest == TRAIN.digest
    assert GIVEN.model_copy(update={"file": Path("elsewhere")}).digest == GIVEN.digest
    seen = [TRAIN.model_copy(update={"sight": Sight(file=Path(place))}) for place in ("a", "b")]
    assert seen[0].digest == seen[1].digest


def test_a_change_far_below_reaches_the_top():
    teacher = TRAIN.model_copy(update={"objective": Pix2PixSettings(lr=1e-3)})
    supernet = SUPERNET.model_copy(update={"teacher": teacher})
    search = SEARCH.model_copy(update={"supernet": supernet})
    subnet = EXTRACT.model_copy(update={"search": search})
    tuned = TUNED.model_copy(update={"init": subnet})
    pairs = [(teacher, TRAIN), (supernet, SUPERNET), (search, SEARCH), (subnet, EXTRACT), (tuned, TUNED)]
    pairs.append((Export(network=tuned, task=TASK), Export(network=TUNED, task=TASK)))
    for changed, stage in pairs:
        assert changed.digest != stage.digest, stage.kind


@pytest.mark.parametrize("stage", [*CHANGES, TUNED], ids=lambda stage: stage.address)
def test_json_round_trip(stage):
    fields = _with_places(stage.model_dump(mode="json"))
    again = type(stage).model_validate(fields)
    assert again.digest == stage.digest
    assert again.address == stage.address == f"{stage.kind}-{stage.digest[:12]}"


def _with_places(node: Any) -> Any:
    if isinstance(node, dict):
        node = {name: _with_places(value) for name, value in node.items()}
        return {**node, "root": "elsewhere"} if "data_digest" in node else node
    return [_with_places(item) for item in node] if isinstance(node, list) else node


def test_the_revision_counts(monkeypatch):
    before = {stage.kind: stage.digest for stage in (TRAIN, EXTRACT, GIVEN)}
    monkeypatch.setattr(Train, "revision", 2)
    assert TRAIN.digest != before["train"]
    assert EXTRACT.digest != before["extract"], "it builds on a training"
    assert GIVEN.digest == before["given"]


def test_the_kind_counts():
    assert Evaluate(network=TRAIN, task=TASK).digest != Export(network=TRAIN, task=TASK).digest


def test_inputs():
    assert list(TRAIN.inputs()) == []
    assert list(SUPERNET.inputs()) == [TRAIN]
    assert list(SEARCH.inputs()) == [SUPERNET]
    assert list(SEARCH.model_copy(update={"metric": "teacher_l1"}).inputs()) == [SUPERNET, TRAIN]
    assert list(EXTRACT.inputs()) == [SEARCH, SUPERNET]
    assert list(TUNED.inputs()) == [EXTRACT, TRAIN, SUPERNET]


def test_stages_are_frozen_and_know_their_fields():
    with pytest.raises(ValidationError):
        TRAIN.seed = 3
    with pytest.raises(ValidationError):
        Train(task=TASK, schedule=SCHEDULE, generator=TINY, sead=3)


def test_digests_stay_what_they_were():
    """Whoever changes them makes every user's finished stages be made again: only on purpose, and then here too."""
    assert Evaluate(network=GIVEN, task=TASK).address == "evaluate-5211a7066dbf"
    assert TRAIN.address == "train-edb658648c82"
    assert TUNED.address == "distil-766c1d290de7"
