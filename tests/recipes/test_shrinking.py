"""Progressive shrinking at toy size, from the largest network to a subnet of smaller kernels."""

import pytest
import torch

from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.elastic.sampling import ResolutionSampling, SandwichSampling
from pocketgan.elastic.shrinking import shrinking
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.models import load_model
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.sort_channels import SortChannels
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.supernets import KERNELS, load_supernet
from pocketgan.pipeline.training import Train
from pocketgan.recipes.shrinking import progressive_shrinking
from pocketgan.runtime import Runtime
from pocketgan.search import Exhaustive, Random
from pocketgan.training.schedule import Schedule
from tests.conftest import draw_pairs

SPACE = space_named("3_2,depth=2_1,kernel=5_3", ResnetSpec.uniform(1, separable=("residual",), norm="batch"))
RUNTIME = Runtime(device="cpu", checkpoint_seconds=0)
SHORT = Schedule(constant=1, batch_size=4)


def chain(task: Task, space=SPACE, phases=tuple(Schedule(constant=n, batch_size=4) for n in (1, 2, 3)), **changes):
    """The largest network, its phases and the supernet."""
    shared = dict(task=task, discriminator=PatchSpec(width=2, layers=1), seed=3)
    largest = Train(generator=space.spec, schedule=SHORT, **shared)
    distil = dict(objective=DistilSettings(lr=1e-2, sampling=SandwichSampling(random=0)), teacher=largest, **shared)
    stages = progressive_shrinking(space, phases, largest, largest, **(distil | changes))
    return largest, *stages.values()


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Task:
    return open_task(draw_pairs(tmp_path_factory.mktemp("shrinking") / "pairs"), size=16)


@pytest.fixture(scope="module")
def store(task, tmp_path_factory) -> Store:
    """Everything of the chain, made."""
    store = Store(tmp_path_factory.mktemp("run") / "stages")
    store.realise(chain(task)[-1], RUNTIME)
    return store


def test_the_chain(task):
    """One phase each: the largest first, sorted before widths shrink, each from the one before."""
    largest, kernel, depth, in_order, width = chain(task)
    assert isinstance(largest, Train)
    assert largest.generator == SPACE.spec
    assert isinstance(in_order, SortChannels)
    assert (kernel.init, depth.init, in_order.network, width.init) == (largest, kernel, depth, in_order)
    assert (kernel.inherited, depth.inherited, width.inherited) == (largest, kernel, depth)
    phases = (kernel, depth, width)
    assert all(isinstance(phase, Distil) and phase.teacher == largest for phase in phases)
    assert tuple(phase.space for phase in phases) == shrinking(SPACE)
    assert width.space == SPACE
    assert [phase.schedule.constant for phase in phases] == [1, 2, 3]
    assert {phase.seed for phase in (largest, *phases)} == {3}


def test_widths_alone_are_sorted_first(task):
    space = space_named("3_2", ResnetSpec.uniform(1, blocks=1))
    largest, in_order, width = chain(task, space=space, phases=[SHORT])
    assert (in_order.network, width.init, width.inherited) == (largest, in_order, largest)
    assert width.space == space


def test_one_schedule_for_each_phase(task):
    with pytest.raises(SpecError) as error:
        chain(task, phases=[SHORT])
    assert str(error.value) == (
        "progressive shrinking of 3_2,depth=2_1,kernel=5_3 has 3 phases, 1 schedules were given; give one for each"
    )


def test_matrices_go_from_phase_to_phase(task, store):
    """In the first they learn, sorting leaves them, and what follows begins with them."""
    _, kernel, depth, in_order, width = chain(task)
    found = [load_supernet(store.artifact(stage) / "model", SPACE.spec) for stage in (kernel, depth, width)]
    identity = torch.eye(9).repeat(4, 1, 1)
    assert not torch.equal(found[0].kernels.to3, identity)
    files = [store.artifact(stage) / "model" / KERNELS for stage in (depth, in_order)]
    assert files[0].read_bytes() == files[1].read_bytes()
    # a training too short to move a weight far from where it began
    still = depth.model_copy(update={"objective": DistilSettings(lr=1e-12)})
    store.realise(still, RUNTIME)
    again = load_supernet(store.artifact(still) / "model", SPACE.spec)
    torch.testing.assert_close(again.kernels.to3, found[0].kernels.to3, rtol=0, atol=1e-6)
    assert not torch.allclose(again.kernels.to3, identity, atol=1e-3)


def test_a_subnet_of_small_kernels_is_searched_and_extracted(task, store):
    """Only the smallest kernels of the shallowest network fit; the extracted network computes what the supernet
    does, batch norm aside, which is calibrated for it."""
    supernet = chain(task)[-1]
    budget = Budget(macs=cost(ResnetSpec.uniform(2, blocks=1, separable=("residual",), norm="batch"), 16)["macs"])
    search = Search(supernet=supernet, budget=budget, strategy=Exhaustive(), metric="l1", calibration=4)
    subnet = Pick(search=search)
    store.realise(subnet, RUNTIME)
    (best,) = search.load(store.artifact(search)).candidates
    assert best.genome == SPACE.smallest
    network = load_model(store.artifact(subnet) / "model").network
    assert network.spec == SPACE.subspec(SPACE.smallest)
    assert network.spec.kernel == 3
    assert best.costs == cost(network.spec, 16)
    wanted = load_supernet(store.artifact(supernet) / "model", SPACE.spec).extract(network.spec)
    for name, parameter in wanted.named_parameters():
        assert torch.equal(parameter, network.get_parameter(name)), name


def test_candidates_of_every_kind_are_scored(task, store):
    search = Search(
        supernet=chain(task)[-1],
        budget=Budget(macs=10**9),
        strategy=Random(candidates=30),
        metric="l1",
        calibration=4,
    )
    store.realise(search, RUNTIME)
    candidates = search.load(store.artifact(search)).candidates
    assert len({SPACE.subspec(each.genome) for each in candidates}) == 30
    assert {(each.genome[-2], each.genome[-1]) for each in candidates} == {(2, 5), (2, 3), (1, 5), (1, 3)}
    for each in candidates:
        assert each.costs == cost(SPACE.subspec(each.genome), 16)


def test_a_phase_that_was_stopped_leaves_the_same(task, tmp_path):
    """At two resolutions: weights and matrices."""
    sampling = ResolutionSampling(sizes=(24, 16), of=SandwichSampling(random=1))
    settings = dict(objective=DistilSettings(lr=1e-2, sampling=sampling), phases=[Schedule(constant=6)] * 3)
    phase = chain(open_task(task.root, size=24), **settings)[1]
    whole, broken = (Store(tmp_path / name / "stages") for name in ("whole", "broken"))

    def stop(stage, done, total):
        if (stage, done) == (phase, 3):
            raise KeyboardInterrupt

    whole.realise(phase, RUNTIME)
    with pytest.raises(KeyboardInterrupt):
        broken.realise(phase, RUNTIME, stop)
    assert broken.status(phase) == "partial"
    broken.realise(phase, RUNTIME)
    for name in ("weights.safetensors", KERNELS):
        files = [(store.artifact(phase) / "model" / name).read_bytes() for store in (whole, broken)]
        assert files[0] == files[1]


def test_resolutions_that_do_not_fit(task, store):
    sampling = ResolutionSampling(sizes=(24, 16))
    phase = chain(task, objective=DistilSettings(sampling=sampling))[1]
    with pytest.raises(SpecError, match="a resolution of 24 is larger than the images"):
        store.realise(phase, RUNTIME)
