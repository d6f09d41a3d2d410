"""The game of a training before what it builds on exists."""

import random

import pytest
import torch

from pocketgan.data.batches import Batch
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import DeepResnetSpec, PatchSpec, ResnetSpec, SharedPatchSpec, SpadeSpec
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.online import OnlineDistil, TeacherOf
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.timing import step_of
from pocketgan.pipeline.training import Train
from pocketgan.runtime import Runtime
from pocketgan.search import Random
from pocketgan.training.schedule import Schedule

WIDE, SMALL = ResnetSpec.uniform(3, blocks=1), ResnetSpec.uniform(2, blocks=1)
SPACE = space_named("8_4_2", ResnetSpec.uniform(1, blocks=1))
#: without terms that look through a network
BLIND = dict(style=0.0, feature=0.0)


@pytest.fixture
def shared(pairs) -> dict:
    task = Task(root=pairs, layout="folders", size=16, load_size=16, data_digest="none")
    return dict(task=task, schedule=Schedule(constant=1, batch_size=2), discriminator=PatchSpec(width=1, layers=1))


@pytest.fixture
def teacher(shared) -> Train:
    return Train(generator=WIDE, **shared)


@pytest.fixture
def supernet(shared, teacher) -> Distil:
    return Distil(teacher=teacher, space=SPACE, **shared)


def subnet(supernet: Distil, budget: int) -> Pick:
    search = Search(supernet=supernet, budget=Budget(macs=budget), strategy=Random(candidates=1))
    return Pick(search=search)


def test_what_stages_leave(shared, teacher, supernet):
    assert teacher.spec() == WIDE
    assert supernet.spec() == SPACE.spec
    assert Distil(teacher=teacher, student=SMALL, **shared).spec() == SMALL
    assert Distil(teacher=teacher, init=supernet, **shared).spec() == SPACE.spec
    spade = SpadeSpec.uniform(2, in_channels=4, spectral=True)
    assert Train(generator=spade, **shared).spec() == spade.folded


def test_a_subnet_is_taken_for_the_widest_that_its_budget_allows(shared, supernet):
    for width in (8, 4, 2):
        spec = ResnetSpec.uniform(width, blocks=1)
        macs = cost(spec, 16, 16)["macs"]
        assert subnet(supernet, macs).spec() == spec
        assert subnet(supernet, macs + 1).spec() == spec


def test_depth_and_kernels_shrink_with_the_widths(shared, teacher):
    space = space_named("4_2,depth=2_1,kernel=5_3", ResnetSpec.uniform(1, blocks=1))
    small = ResnetSpec.uniform(2, blocks=1)
    stage = subnet(Distil(teacher=teacher, space=space, **shared), cost(small, 16, 16)["macs"])
    assert stage.spec() == small


def test_teachers_of_an_online_distillation(shared, teacher):
    deep = DeepResnetSpec.uniform(1)
    fresh = OnlineDistil(
        wide=WIDE,
        deep=deep,
        student=SMALL,
        objective=OnlineSettings(**BLIND),
        **{**shared, "discriminator": SharedPatchSpec(width=1, heads=2, shared=1, layers=1)},
    )
    assert [TeacherOf(source=fresh, role=role).spec() for role in fresh.roles] == [WIDE, deep]
    further = OnlineDistil(teachers=fresh, init=fresh, objective=OnlineSettings(n_dis=0, **BLIND), **shared)
    assert [TeacherOf(source=further, role=role).spec() for role in further.roles] == [WIDE, deep]
    assert further.spec() == SMALL
    given = OnlineDistil(teachers=teacher, student=SMALL, objective=OnlineSettings(n_dis=0, **BLIND), **shared)
    assert TeacherOf(source=given, role="teacher").spec() == WIDE
    for stage in (fresh, further, given):
        played(stage)


def test_every_training_can_be_played(shared, teacher, supernet):
    tuned = Distil(teacher=teacher, init=subnet(supernet, 10**9), inherited=supernet, **shared)
    assert tuned.untrained().generator.spec == SPACE.spec
    assert supernet.untrained().generator.spec == SPACE.spec
    for stage in (teacher, supernet, tuned, Distil(teacher=teacher, student=SMALL, init=teacher, **shared)):
        played(stage)


def played(stage) -> None:
    """Three steps, each of which trains the student or a teacher."""
    torch.manual_seed(0)
    batch = Batch(torch.rand(2, 3, 16, 16) * 2 - 1, torch.rand(2, 3, 16, 16) * 2 - 1, ())
    step = step_of(stage, batch, Runtime(device="cpu"))
    first, second, third = ({name: float(loss) for name, loss in step().items()} for _ in range(3))
    assert first
    assert third
    assert first != second


def test_subnets_of_a_supernet_differ_from_step_to_step(supernet, monkeypatch):
    seen = []
    game = supernet.untrained()
    monkeypatch.setattr(type(game), "step", lambda self, batch, rng: seen.append(rng.random()))
    step = step_of(supernet, Batch(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), ()), Runtime(device="cpu"))
    for _ in range(3):
        step()
    assert seen == [random.Random(number).random() for number in range(3)]
