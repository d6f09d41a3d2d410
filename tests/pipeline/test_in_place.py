"""In-place distillation as a stage, with pairs and without: from scratch is a special case, a subnet goes on, a
stop changes nothing."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch

from pocketgan.data.batches import evaluation_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.calibrate import calibrate, has_statistics
from pocketgan.elastic.spaces import space_named
from pocketgan.models import load_model
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.cycle import CycleGanSettings
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycleSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
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


@pytest.fixture(scope="module", params=[False, True], ids=["pairs", "unpaired"])
def task(request, tmp_path_factory):
    return open_task(draw_pairs(tmp_path_factory.mktemp("images")), size=16, unpaired=request.param)


def in_place(task, **fields) -> InPlaceTraining:
    shared = dict(
        task=task,
        discriminator=PatchSpec(in_channels=6 if task.paired else 3, width=2, layers=2),
        objective=InPlaceSettings() if task.paired else InPlaceCycleSettings(),
        schedule=Schedule(constant=2, batch_size=2),
    )
    return InPlaceTraining(
        **{**shared, **({} if "init" in fields else {"space": space_named("4_2", SPEC)}), **fields}
    )


def others(task) -> tuple[str, ...]:
    """The networks that play beside the student."""
    return ("discriminator",) if task.paired else ("discriminator", "backward", "backward_discriminator")


def test_from_scratch_is_a_special_case(task, tmp_path):
    if task.paired:
        plain, game = InPlaceSettings(matching=0, averaged=0, lr=2e-4), Pix2PixSettings()
    else:
        plain, game = InPlaceCycleSettings(averaged=0, lr=2e-4), CycleGanSettings()
    own = in_place(task, space=None, student=SPEC, objective=plain)
    shared = {name: getattr(own, name) for name in ("task", "discriminator", "schedule", "seed")}
    from_scratch = Train(generator=SPEC, objective=game, **shared)
    assert own.leaves == from_scratch.leaves
    folders = [Store(tmp_path).realise(stage, RUNTIME) for stage in (own, from_scratch)]
    for name in own.leaves:
        one, other = (state(folder / name) for folder in folders)
        assert equal(one, other), name


def test_the_largest_subnet_has_statistics_of_its_own(task, tmp_path):
    """Those of a supernet's batch norms are a mixture over its subnets; to calibrate again changes nothing."""
    space = space_named("4_2", SPEC.with_fixed_norms)
    left = load_model(Store(tmp_path).realise(in_place(task, space=space), RUNTIME) / "model").network
    store = Store(tmp_path / "images")
    examples = load_examples(task, "train", store.cache, training=False)
    again = calibrate(deepcopy(left), (batch.x for batch in evaluation_batches(examples, 64)))
    assert has_statistics(left)
    for name, value in again.state_dict().items():
        torch.testing.assert_close(value, left.state_dict()[name], rtol=1e-5, atol=1e-6, msg=name)


def test_a_subnet_goes_on_alone(task, tmp_path):
    """It begins with the averaged weights of its supernet, with the other networks that are left."""
    supernet, store = in_place(task), Store(tmp_path)
    metric = "l1" if task.paired else "fd_mobilenet_v2"
    search = Search(supernet=supernet, budget=Budget(macs=10**8), strategy=Random(candidates=2), metric=metric)
    subnet = Pick(search=search)
    tuned = in_place(task, init=subnet, inherited=supernet)
    assert (supernet.teacher, supernet.leaves) == (supernet, ("model", *others(task)))
    assert {stage.kind for stage in tuned.inputs()} == {"pick", "in-place"}
    chosen = load_model(store.realise(subnet, RUNTIME) / "model").network
    inherited = {name: load_model(store.artifact(supernet) / name).network for name in others(task)}
    game = tuned.build(chosen, inherited)
    assert game.generator.spec == chosen.spec
    assert all(torch.equal(a, b) for a, b in zip(game.generator.parameters(), chosen.parameters(), strict=True))
    assert all(game.players[name] is network for name, network in inherited.items())
    left = load_model(store.realise(tuned, RUNTIME) / "model").network
    assert left.spec == chosen.spec
    assert not equal(left.state_dict(), chosen.state_dict())


def test_without_pairs_the_way_back_is_as_wide_as_the_largest_subnet(task):
    game = in_place(task).untrained()
    if not task.paired:
        assert game.players["backward"].spec == space_named("4_2", SPEC).spec
    assert game.players.keys() == {"generator", *others(task)}


def test_what_is_inherited_is_loaded(task, tmp_path):
    """At a rate of nearly nothing all networks stay what the supernet's stage left."""
    supernet, store = in_place(task), Store(tmp_path)
    still = supernet.objective.model_copy(update={"lr": 1e-30, "discriminator_lr": 1e-30})
    tuned = in_place(task, init=supernet, inherited=supernet, objective=still)
    found, given = (store.realise(stage, RUNTIME) for stage in (tuned, supernet))
    for name in ("model", *others(task)):
        assert equal(state(found / name), state(given / name)), name


@pytest.mark.parametrize("after", [2, 5])
def test_a_stop_changes_nothing(task, tmp_path: Path, after: int):
    stage = in_place(task)
    whole = Store(tmp_path / "whole").realise(stage, RUNTIME)
    again = stopped_and_resumed(stage, tmp_path / "stopped", after)
    for name in ("model", *others(task)):
        assert equal(state(whole / name), state(again / name)), name
