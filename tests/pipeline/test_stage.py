"""Digests: what makes a stage another one, and what does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.spaces import uniform_space
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.fixed_norms import FixedNormsSettings
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.export import Export
from pocketgan.pipeline.fixed_norms import FixNorms
from pocketgan.pipeline.from_scratch import FromScratch
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.games import FeatureNetwork
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import all_inputs, stages_of, table_of
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.pipeline.training import Train, Training
from pocketgan.search import Evolution, Random
from pocketgan.search.racing import Race
from pocketgan.training.schedule import Schedule

TASK = Task(root=Path("somewhere"), layout="folders", size=16, load_size=18, data_digest="d1")
TINY = ResnetSpec.uniform(2, blocks=1)
SCHEDULE = Schedule(constant=1)
TRAIN = Train(task=TASK, schedule=SCHEDULE, generator=TINY)
GIVEN = TeacherFile(file=Path("models"), generator=TINY, content="c1")
SUPERNET = Distil(task=TASK, schedule=SCHEDULE, teacher=TRAIN, space=uniform_space(TINY, (2, 1)))
SEARCH = Search(supernet=SUPERNET, budget=Budget(macs=10**9), strategy=Random(candidates=2))
PICK = Pick(search=SEARCH)
FRONT = FrontLatency(search=SEARCH)
TUNED = Distil(task=TASK, schedule=SCHEDULE, teacher=TRAIN, init=PICK, inherited=SUPERNET)
GUARD = FromScratch(task=TASK, schedule=SCHEDULE, like=PICK)
IN_PLACE = InPlaceTraining(task=TASK, schedule=SCHEDULE, space=SUPERNET.space)
OTHER_TASK = TASK.model_copy(update={"data_digest": "d2"})

#: another value of each field that all trainings have
OF_TRAININGS: dict[str, Any] = dict(
    task=OTHER_TASK,
    splits=("train", "select"),
    feature_network=FeatureNetwork(),
    schedule=Schedule(constant=2),
    seed=1,
    precision="bf16",
)
#: for every stage another value of each of its fields
CHANGES: dict[Stage, dict[str, Any]] = {
    TRAIN: dict(
        OF_TRAININGS,
        generator=ResnetSpec.uniform(3, blocks=1),
        discriminator=PatchSpec(width=2),
        objective=Pix2PixSettings(recon=10),
    ),
    GUARD: dict(
        OF_TRAININGS,
        like=GIVEN,
        discriminator=PatchSpec(width=2),
        objective=Pix2PixSettings(recon=10),
    ),
    GIVEN: dict(
        content="c2", direction="BtoA", discriminator=PatchSpec(), generator=ResnetSpec.uniform(3, blocks=1)
    ),
    SUPERNET: dict(
        OF_TRAININGS,
        teacher=GIVEN,
        student=TINY,
        space=uniform_space(TINY, (3, 1)),
        init=GIVEN,
        inherited=TRAIN,
        discriminator=PatchSpec(width=2),
        objective=DistilSettings(distil=0.1),
    ),
    IN_PLACE: dict(
        OF_TRAININGS,
        student=TINY,
        space=uniform_space(TINY, (3, 1)),
        init=GIVEN,
        inherited=TRAIN,
        discriminator=PatchSpec(width=2),
        objective=InPlaceSettings(matching=0),
    ),
    FixNorms(task=TASK, schedule=SCHEDULE, teacher=GIVEN): dict(
        OF_TRAININGS,
        teacher=TRAIN,
        discriminator=PatchSpec(width=2),
        objective=FixedNormsSettings(truth=0),
        padding="zero",
    ),
    SEARCH: dict(
        supernet=SUPERNET.model_copy(update={"seed": 1}),
        budget=Budget(params=10**9),
        strategy=Evolution(),
        metric="l1",
        calibration=5,
        race=Race(),
        seed=1,
    ),
    FRONT: dict(search=SEARCH.model_copy(update={"seed": 1}), points=3, runtime="another"),
    Pick(search=SEARCH, budget=Budget(macs=10**6, latency_ms=2), front_latency=FRONT): dict(
        search=SEARCH.model_copy(update={"seed": 1}),
        budget=Budget(macs=10**5, latency_ms=2),
        front_latency=FRONT.model_copy(update={"points": 3}),
        margin=0.1,
    ),
    Evaluate(network=TRAIN, task=TASK): dict(
        network=PICK, task=OTHER_TASK, split="select", metrics=("l1",), teacher=TRAIN
    ),
    Export(network=TRAIN, task=TASK): dict(network=PICK, task=OTHER_TASK, runtime="another"),
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
    ("feature_network", FeatureNetwork(), {"file"}),
]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
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
    seen = [TRAIN.model_copy(update={"feature_network": FeatureNetwork(file=Path(place))}) for place in ("a", "b")]
    assert seen[0].digest == seen[1].digest


def test_a_change_far_below_reaches_the_top():
    teacher = TRAIN.model_copy(update={"objective": Pix2PixSettings(lr=1e-3)})
    supernet = SUPERNET.model_copy(update={"teacher": teacher})
    search = SEARCH.model_copy(update={"supernet": supernet})
    subnet = PICK.model_copy(update={"search": search})
    tuned = TUNED.model_copy(update={"init": subnet})
    pairs = [(teacher, TRAIN), (supernet, SUPERNET), (search, SEARCH), (subnet, PICK), (tuned, TUNED)]
    pairs.append((Export(network=tuned, task=TASK), Export(network=TUNED, task=TASK)))
    for changed, stage in pairs:
        assert changed.digest != stage.digest, stage.kind


def test_what_is_cached_is_not_copied():
    assert TRAIN.digest
    assert TRAIN.model_copy(update={"seed": 9}).digest == Train.model_validate({**dict(TRAIN), "seed": 9}).digest


# -- as JSON -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [*CHANGES, TUNED], ids=lambda stage: stage.address)
def test_json_round_trip(stage):
    """Everything that a stage builds on comes back too, by its digest."""
    table = json.loads(json.dumps(table_of([stage])))
    again = stages_of(table, {"data": "elsewhere"})
    assert list(again) == list(table) == list(all_inputs([stage]))
    assert all(found.digest == digest for digest, found in again.items())
    assert again[stage.digest] == stage
    assert stage.address == f"{stage.kind}-{stage.digest[:12]}"


def test_places_come_back():
    folder = Path("elsewhere")
    (again,) = stages_of(table_of([TRAIN]), {"data": folder}).values()
    assert again.task.root == folder


def test_a_chain_stays_a_chain():
    """Each phase names the one before twice: written as a tree, thirty phases would be a thousand million."""
    stages = [TRAIN]
    for number in range(30):
        last = stages[-1]
        stages.append(SUPERNET.model_copy(update={"init": last, "inherited": last, "seed": number}))
    text = json.dumps(table_of(stages[-1:]))
    assert len(stages_of(json.loads(text), {"data": "."})) == 31
    assert len(text) < 31 * 1.1 * len(json.dumps(stages[-1].fields()))
    assert hash(stages[-1]) == hash(stages[-1].model_copy())


@pytest.mark.parametrize("stage", [*CHANGES, TUNED], ids=lambda stage: stage.kind)
def test_what_stages_say_of_themselves(stage):
    assert stage.leaves
    assert ("model" in stage.leaves) == (
        stage.kind in ("train", "teacher-file", "distil", "in-place", "from-scratch", "fixed-norms", "pick")
    )
    assert isinstance(stage, Training) or stage.steps == 0
    if "model" in stage.leaves:
        assert stage.spec() == {"train": TINY, "teacher-file": TINY, "fixed-norms": TINY.with_fixed_norms}.get(
            stage.kind, SUPERNET.space.spec
        )


def test_only_a_network_can_be_a_teacher():
    with pytest.raises(ValidationError, match="a stage that leaves a network is needed, and search leaves none"):
        Distil(task=TASK, schedule=SCHEDULE, teacher=SEARCH, student=TINY)


def test_the_revision_counts(monkeypatch):
    def digests() -> dict[str, str]:
        train = TRAIN.model_copy()
        supernet = SUPERNET.model_copy(update={"teacher": train})
        pick = PICK.model_copy(update={"search": SEARCH.model_copy(update={"supernet": supernet})})
        return {stage.kind: stage.digest for stage in (train, pick, GIVEN.model_copy())}

    before = digests()
    monkeypatch.setattr(Train, "revision", 2)
    after = digests()
    assert after["train"] != before["train"]
    assert after["pick"] != before["pick"], "it builds on a training"
    assert after["teacher-file"] == before["teacher-file"]


def test_the_kind_counts():
    assert Evaluate(network=TRAIN, task=TASK).digest != Export(network=TRAIN, task=TASK).digest


def test_inputs():
    assert list(TRAIN.inputs()) == []
    assert list(SUPERNET.inputs()) == [TRAIN]
    assert list(SEARCH.inputs()) == [SUPERNET]
    assert list(SEARCH.model_copy(update={"metric": "teacher_l1"}).inputs()) == [SUPERNET, TRAIN]
    assert list(PICK.inputs()) == [SEARCH, SUPERNET]
    assert set(TUNED.inputs()) == {PICK, TRAIN, SUPERNET}


def test_stages_are_frozen_and_know_their_fields():
    with pytest.raises(ValidationError):
        TRAIN.seed = 3
    with pytest.raises(ValidationError):
        Train(task=TASK, schedule=SCHEDULE, generator=TINY, sead=3)


def test_digests_stay_what_they_were():
    """Whoever changes them makes every user's finished stages be made again: only on purpose, and then here too."""
    assert Evaluate(network=GIVEN, task=TASK).address == "evaluate-5c8240e75731"
    assert TRAIN.address == "train-7ea6030710c0"
    assert TUNED.address == "distil-a92367d30d76"
