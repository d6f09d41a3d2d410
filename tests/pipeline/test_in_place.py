"""In-place distillation as a stage: from scratch is a special case, a subnet goes on, a stop changes nothing."""

from pathlib import Path

import pytest
import torch

from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.spaces import space_named
from pocketgan.models import load_model
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.training import Train
from pocketgan.runtime import Runtime
from pocketgan.search import Random
from pocketgan.training.schedule import Schedule
from tests.conftest import draw_pairs
from tests.pipeline.test_online import equal, state, stopped_and_resumed

SPEC = ResnetSpec.uniform(2, blocks=1, separable=("residual",))
RUNTIME = Runtime(device="cpu", checkpoint_seconds=0)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return open_task(draw_pairs(tmp_path_factory.mktemp("pairs")), size=16)


def in_place(task, **fields) -> InPlaceTraining:
    shared = dict(
        task=task, discriminator=PatchSpec(width=2, layers=2), schedule=Schedule(constant=2, batch_size=2)
    )
    return InPlaceTraining(
        **{**shared, **({} if "init" in fields else {"space": space_named("4_2", SPEC)}), **fields}
    )


def test_from_scratch_is_a_special_case(task, tmp_path):
    plain = InPlaceSettings(matching=0, averaged=0, lr=2e-4)
    own = in_place(task, space=None, student=SPEC, objective=plain)
    shared = {name: getattr(own, name) for name in ("task", "discriminator", "schedule", "seed")}
    from_scratch = Train(generator=SPEC, **shared)
    folders = [Store(tmp_path).realise(stage, RUNTIME) for stage in (own, from_scratch)]
    for name in ("model", "discriminator"):
        one, other = (state(folder / name) for folder in folders)
        assert equal(one, other), name


def test_a_subnet_goes_on_alone(task, tmp_path):
    """It begins with the averaged weights of its supernet, against the discriminator that is left."""
    supernet, store = in_place(task), Store(tmp_path)
    search = Search(supernet=supernet, budget=Budget(macs=10**8), strategy=Random(candidates=2), metric="l1")
    subnet = Pick(search=search)
    tuned = in_place(task, init=subnet, inherited=supernet)
    assert (supernet.teacher, supernet.leaves) == (supernet, ("model", "discriminator"))
    assert {stage.kind for stage in tuned.inputs()} == {"pick", "in-place"}
    chosen = load_model(store.realise(subnet, RUNTIME) / "model").network
    discriminator = load_model(store.artifact(supernet) / "discriminator").network
    game = tuned.build(chosen, {"discriminator": discriminator})
    assert game.generator.spec == chosen.spec
    assert all(torch.equal(a, b) for a, b in zip(game.generator.parameters(), chosen.parameters(), strict=True))
    assert game.players["discriminator"] is discriminator
    left = load_model(store.realise(tuned, RUNTIME) / "model").network
    assert left.spec == chosen.spec
    assert not equal(left.state_dict(), chosen.state_dict())


@pytest.mark.parametrize("after", [2, 5])
def test_a_stop_changes_nothing(task, tmp_path: Path, after: int):
    stage = in_place(task)
    whole = Store(tmp_path / "whole").realise(stage, RUNTIME)
    again = stopped_and_resumed(stage, tmp_path / "stopped", after)
    for name in ("model", "discriminator"):
        assert equal(state(whole / name), state(again / name)), name
