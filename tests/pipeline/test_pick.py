"""Measuring the front of a search, and picking from it: on a supernet that was never trained, with batch norm."""

import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import uniform_space
from pocketgan.errors import BudgetError
from pocketgan.models import load_model, save_model
from pocketgan.networks import ResnetSpec, init_normal
from pocketgan.pipeline import front_latency as module
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.runtime import Runtime
from pocketgan.search import Candidate, Random, SearchResult
from pocketgan.training.schedule import Schedule

SPEC = ResnetSpec.uniform(4, blocks=1, norm="batch")
SPACE = uniform_space(SPEC, (4, 3, 2, 1))
RUNTIME = Runtime(device="cpu")
#: by width: the smallest collapsed, and that of width 2 is beaten by nobody at its cost
SCORES = {4: 30.0, 3: 40.0, 2: 50.0, 1: None}


def candidate(width: int, score: float | None, macs: int | None = None) -> Candidate:
    genome = (width,) * len(SPACE.choices)
    costs = CostModel(SPEC, 16, 16).one(SPACE.widths(genome))
    costs = costs if macs is None else {**costs, "macs": macs}
    return Candidate(genome=genome, generation=0, costs=costs, scores={"l1": score})


RESULT = SearchResult(
    objective="l1", better="lower", candidates=tuple(candidate(width, score) for width, score in SCORES.items())
)


@pytest.fixture
def search(pairs) -> Search:
    task = open_task(pairs, size=16)
    given = TeacherFile(generator=SPEC, content="none")
    supernet = Distil(task=task, schedule=Schedule(constant=1), teacher=given, space=SPACE)
    return Search(
        supernet=supernet, budget=Budget(macs=10**9), strategy=Random(candidates=4), metric="l1", calibration=3
    )


@pytest.fixture
def store(search, tmp_path) -> Store:
    """Holds a supernet with fresh weights, and what a search of it found."""
    store = Store(tmp_path / "stages")
    network = init_normal(SPEC.build(), torch.Generator().manual_seed(0))
    save_model(store.artifact(search.supernet) / "model", network, {})
    store.artifact(search).mkdir(parents=True)
    (store.artifact(search) / "result.json").write_text(RESULT.model_dump_json())
    return store


# -- the measured front ------------------------------------------------------------------------------------------


def test_a_front_that_is_stopped_and_goes_on(search, store, monkeypatch):
    """What was exported is not exported again, and the front is that of the search, measured."""
    exported, runtime = [], module.runtime_named("onnxruntime")

    def noted(network, size, path):
        exported.append(path.name)
        runtime.export(network, size, path)

    monkeypatch.setattr(module, "runtime_named", lambda name: replace(runtime, export=noted))
    stage = FrontLatency(search=search)

    def stop(stage, done, total):
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.realise(stage, RUNTIME, stop)
    assert store.status(stage) == "partial"
    measured = stage.load(store.realise(stage, RUNTIME))
    assert exported == ["0.onnx", "1.onnx", "2.onnx"]
    assert [point.genome[0] for point in measured.points] == [2, 3, 4], "the collapsed one is not on it"
    for point in measured.points:
        assert point.score == SCORES[point.genome[0]]
        assert point.costs == CostModel(SPEC, 16, 16).one(SPACE.widths(point.genome))
        assert 0 < point.quartiles_ms[0] <= point.latency_ms <= point.quartiles_ms[1]
    assert measured.latencies == {point.genome: point.latency_ms for point in measured.points}
    assert measured.runtime.startswith("onnxruntime ")
    assert measured.machine.cores >= 1
    assert measured.machine.cpu in measured.measured_on
    assert not (store.home(stage) / "state").exists()


def test_a_long_front_is_thinned_evenly_in_the_logarithm():
    front = [candidate(1, 100.0 - i, macs=1000 * 2**i) for i in range(9)]
    assert module.thinned(front, 9) == front
    assert [math.log2(each.costs["macs"] / 1000) for each in module.thinned(front, 5)] == [0, 2, 4, 6, 8]
    assert module.thinned(front, 2) == [front[0], front[-1]]
    assert module.thinned(front, 1) == [front[-1]], "the best"
    # where most stand close together, few of those stay
    crowded = [candidate(1, 100.0 - i, macs=macs) for i, macs in enumerate([1000, 1001, 1002, 1003, 4000, 16000])]
    assert [each.costs["macs"] for each in module.thinned(crowded, 3)] == [1000, 4000, 16000]


# -- picking -----------------------------------------------------------------------------------------------------


def test_a_pick_by_the_searchs_own_budget_is_its_subnet(search, store):
    """Batch norm included, whose statistics are others than the supernet's."""
    stages = (Pick(search=search), Pick(search=search, budget=search.budget))
    own, picked = (load_file(store.realise(stage, RUNTIME) / "model" / "weights.safetensors") for stage in stages)
    assert own.keys() == picked.keys()
    assert all(torch.equal(tensor, picked[name]) for name, tensor in own.items())
    fresh = load_model(store.artifact(search.supernet) / "model").network.state_dict()
    means = [name for name in own if name.endswith("running_mean")]
    assert means
    assert not any(torch.equal(own[name], fresh[name]) for name in means)


def test_a_pick_keeps_its_budget(search, store):
    width_three = RESULT.candidates[1]
    budget = Budget(params=width_three.costs["params"], macs=width_three.costs["macs"])
    artifact = store.realise(Pick(search=search, budget=budget), RUNTIME)
    assert load_model(artifact / "model").spec.widths == SPACE.widths(width_three.genome)


def test_a_bound_on_the_latency_chooses_among_what_was_measured(search):
    budget = Budget(macs=10**9, latency_ms=5)
    pick = Pick(search=search, budget=budget, front_latency=FrontLatency(search=search))
    two, three, four = ((width,) * len(SPACE.choices) for width in (2, 3, 4))
    assert pick.choose(RESULT, {two: 1.0, three: 4.0, four: 6.0}).genome == three
    assert pick.choose(RESULT, {two: 5.0, four: 6.0}).genome == two
    with pytest.raises(BudgetError, match=r"^budget 5\.00 ms is below the smallest .* \(5\.50 ms: 2_2_"):
        pick.choose(RESULT, {two: 5.5, four: 6.0})


def test_what_cannot_be_picked(search):
    least = RESULT.candidates[2]
    with pytest.raises(BudgetError) as error:
        Pick(search=search, budget=Budget(params=least.costs["params"] - 1)).choose(RESULT)
    assert str(error.value).endswith(f"parameters: {SPACE.text(least.genome)}); raise it")
    front = FrontLatency(search=search)
    both = Pick(search=search, budget=Budget(macs=least.costs["macs"], latency_ms=2), front_latency=front)
    wide = (4,) * len(SPACE.choices)
    with pytest.raises(BudgetError, match=r"^no subnet that .* is within .* MACs and 2\.00 ms at once; raise"):
        both.choose(RESULT, {least.genome: 3.0, wide: 1.0})
    with pytest.raises(ValidationError, match="needs a measured front"):
        Pick(search=search, budget=Budget(latency_ms=3))
