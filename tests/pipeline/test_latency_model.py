"""The latency model as a stage, and the choice by it: on made-up milliseconds, which are linear in the work."""

import json
import math

import numpy as np
import pytest
import torch

from pocketgan.data.task import open_task
from pocketgan.deploy.latency import Relative
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import WORK, CostModel
from pocketgan.elastic.spaces import uniform_space
from pocketgan.errors import BudgetError, SpecError
from pocketgan.models import load_model, save_model
from pocketgan.networks import ResnetSpec, init_normal
from pocketgan.pipeline import latency_model as module
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.latency_model import ModelLatency, TimedSubnet, spread
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.settle import settled
from pocketgan.pipeline.stages import stages_of, table_of
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.runtime import Runtime
from pocketgan.search import Exhaustive
from pocketgan.training.schedule import Schedule

SPEC = ResnetSpec.uniform(4, blocks=1)
SPACE = uniform_space(SPEC, (4, 3, 2))
SIZE = (16, 16)
RUNTIME = Runtime(device="cpu")
#: of every kind of work this share of a millisecond
UNITS = np.linspace(1e-5, 2e-5, len(WORK))
REFERENCE_MS = 2.0


def truth(genome, factor=1.0):
    return factor * float((CostModel(SPEC, *SIZE).work(SPACE, np.array([genome])) @ UNITS)[0])


class Machine:
    """Measures what `truth` says, and notes how many subnets. `slow`: how many times slower it is at the moment."""

    def __init__(self):
        self.measured, self.factor, self.slow = [], 1.0, 1.0

    def timed(self, stage, genomes, folder, progress=lambda done: None):
        self.measured += genomes
        progress(len(genomes))
        return [
            TimedSubnet(
                genome=genome,
                ratio=truth(genome, self.factor) / REFERENCE_MS,
                least_ms=truth(genome) * self.slow,
                reference_ms=REFERENCE_MS * self.slow,
                waiting=0.0,
            )
            for genome in genomes
        ]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    machine = Machine()
    monkeypatch.setattr(ModelLatency, "timed", lambda self, *args, **named: machine.timed(self, *args))
    return machine


def stage(**fields):
    return ModelLatency(space=SPACE, size=SIZE, runtime="onnxruntime:1", **fields)


def test_a_model_that_is_stopped_and_goes_on(machine, tmp_path):
    """What was measured is not measured again; made-up latencies of subnets not measured are predicted."""
    store, seen = Store(tmp_path / "stages"), []

    def stop(stage, done, total):
        seen.append((done, total))
        if done > module.TOGETHER:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.realise(stage(points=15), RUNTIME, stop)
    assert store.status(stage(points=15)) == "partial"
    first = machine.measured[: module.TOGETHER]
    machine.measured.clear()
    machine.slow = 1.7
    found = stage(points=15).load(store.realise(stage(points=15), RUNTIME))
    assert not set(first) & set(machine.measured)
    assert [point.genome for point in found.points] == spread(SPACE, 15) == [*first, *machine.measured]
    assert found.reference_ms == REFERENCE_MS, "that of the quiet time"
    assert found.model.error == pytest.approx(0, abs=1e-6)
    unseen = np.random.default_rng(0).choice((4, 3, 2), (9, len(SPACE.choices)))
    work = CostModel(SPEC, *SIZE).work(SPACE, unseen)
    assert found.model(work) == pytest.approx([truth(tuple(genome)) for genome in unseen.tolist()], rel=1e-5)
    assert (found.threads, found.size, found.busy) == (1, SIZE, False)
    assert found.runtime.startswith("onnxruntime ")
    plain = json.loads((store.artifact(stage(points=15)) / "latency.json").read_text())
    assert plain["model"]["coefficients"].keys() == set(WORK)


def test_a_machine_measures_a_space_once(machine, tmp_path):
    made = [Store(tmp_path / name).realise(stage(points=7), RUNTIME) / "latency.json" for name in ("one", "other")]
    assert made[0].read_bytes() == made[1].read_bytes()
    assert len(machine.measured) == 7
    Store(tmp_path / "third").realise(stage(points=8), RUNTIME)
    assert len(machine.measured) == 15, "another stage is another model"


def test_spread_begins_with_the_ends():
    drawn = spread(SPACE, 12)
    assert len(set(drawn)) == 12
    assert drawn[:3] == [(2,) * len(SPACE.choices), (4,) * len(SPACE.choices), (3,) * len(SPACE.choices)]
    assert all(genome in SPACE for genome in drawn)
    assert spread(SPACE, 12) == drawn
    assert len(spread(uniform_space(SPEC, (4,)), 5)) == 1


def test_a_budget_that_cannot_be_met_is_refused_at_once(machine, tmp_path):
    """By the smallest subnet alone where there is no model yet, by the model where there is one."""
    store, least = Store(tmp_path / "stages"), truth(SPACE.smallest)
    tight = Budget(latency_ms=least / 2, runtime="onnxruntime:1")
    with pytest.raises(BudgetError, match=r"^budget .* ms on onnxruntime:1 is below the smallest subnet of .* \("):
        stage().check(tight, store)
    assert machine.measured == [SPACE.smallest]
    stage().check(Budget(latency_ms=least * 1.01, runtime="onnxruntime:1"), store)
    store.realise(stage(), RUNTIME)
    machine.measured.clear()
    with pytest.raises(BudgetError, match="is below the smallest subnet"):
        stage().check(tight, store)
    stage().check(Budget(latency_ms=least * 1.01, runtime="onnxruntime:1"), store)
    assert machine.measured == []


def test_files_are_measured_beside_the_reference(monkeypatch, tmp_path):
    """The files of these subnets, exported for one size, in the order asked for."""

    def measured(runtime, files, size, threads, *, folder, budget_s):
        assert (runtime.name, size, threads) == ("onnxruntime", SIZE, 3)
        sizes = [file.stat().st_size for file in files]
        return [Relative(ratio=float(size), least_ms=1.0, reference_ms=2.0, waiting=0.5) for size in sizes]

    monkeypatch.setattr(module, "beside_reference", measured)
    done = []
    own = ModelLatency(space=SPACE, size=SIZE, runtime="onnxruntime:3")
    large, small = own.timed([SPACE.largest, SPACE.smallest], tmp_path, done.append)
    assert (large.genome, small.genome) == (SPACE.largest, SPACE.smallest)
    assert large.ratio > small.ratio
    assert done == [1, 2]
    assert list(tmp_path.iterdir()) == [], "files do not stay"


def test_a_runtime_that_is_not_there(tmp_path):
    with pytest.raises(SpecError, match="unknown runtime 'onxruntime'; did you mean onnxruntime"):
        module.Serving.of_files("onxruntime:1")
    with pytest.raises(SpecError, match="--runtime 'onnxruntime:0' cannot be read; write a runtime and"):
        module.Serving.of_files("onnxruntime:0")
    with pytest.raises(SpecError, match="torch runs networks as they are and has no files"):
        module.Serving.of_files("torch")


# -- the search and the choice ------------------------------------------------------------------------------------


@pytest.fixture
def search(pairs):
    task = open_task(pairs, size=16)
    given = TeacherFile(generator=SPEC, content="none")
    supernet = Distil(task=task, schedule=Schedule(constant=1), teacher=given, space=uniform_space(SPEC, (4, 2)))
    bound = (truth(SPACE.smallest) + truth(SPACE.largest)) / 2
    return Search(
        supernet=supernet,
        budget=Budget(latency_ms=bound, runtime="onnxruntime:1"),
        strategy=Exhaustive(),
        metric="l1",
    )


@pytest.fixture
def store(search, tmp_path, machine):
    store = Store(tmp_path / "stages")
    network = init_normal(SPEC.build(), torch.Generator().manual_seed(0))
    save_model(store.artifact(search.supernet) / "model", network, {})
    return store


def test_the_search_obeys_the_model(search, store, machine):
    """Exactly the subnets that are predicted within the bound are scored, and the best of them is measured."""
    space = search.space
    result = search.load(store.realise(search, RUNTIME))
    every = [tuple(genome) for genome in space.genomes(np.arange(space.size)).tolist()]
    bound = search.budget.latency_ms
    assert {one.genome for one in result.candidates} == {one for one in every if truth(one) <= bound}
    assert 0 < len(result.candidates) < len(every)
    pick = Pick(search=search)
    chosen = pick.settled(store.realise(pick, RUNTIME))
    assert chosen.genome == result.best.genome
    assert chosen.predicted_ms == pytest.approx(truth(chosen.genome), rel=1e-5)
    assert chosen.measured_ms == pytest.approx(truth(chosen.genome), rel=1e-9)
    assert chosen.asked_ms == bound
    assert load_model(store.artifact(pick) / "model").spec.widths == space.widths(chosen.genome)


def test_what_is_measured_over_the_bound_is_passed_over(search, store, machine):
    """Where everything takes 30 % longer than predicted, the best of those that are within the bound is found."""
    result = search.load(store.realise(search, RUNTIME))
    machine.factor = 1.3
    pick = Pick(search=search)
    chosen = pick.settled(store.realise(pick, RUNTIME))
    within = [one for one in result.candidates if truth(one.genome, 1.3) <= chosen.asked_ms]
    assert chosen.genome == min(within, key=result.loss).genome
    assert chosen.factor == pytest.approx(1.3)


def test_a_smaller_latency_is_picked_from_the_same_search(search, store, machine):
    result = search.load(store.realise(search, RUNTIME))
    less = truth(search.space.smallest) * 1.05
    pick = Pick(search=search, budget=Budget(latency_ms=less, runtime="onnxruntime:1"))
    assert truth(pick.settled(store.realise(pick, RUNTIME)).genome) <= less
    with pytest.raises(BudgetError, match="is below the smallest subnet that the search scored"):
        pick.choose(result, {one.genome: 2 * less for one in result.candidates})


def test_it_stands_in_the_table_of_stages(search):
    """So that a run is found again; a search without a bound on the latency has the address that it always had."""
    table = table_of([search])
    assert any(fields["kind"] == "latency-model" for fields in table.values())
    places = {"data": search.supernet.task.root}
    assert stages_of(table, places)[search.digest] == search
    plain = search.model_copy(update={"budget": Budget(macs=10**9)})
    assert plain.latency is None
    assert plain.fields()["budget"] == {"macs": 10**9, "true_macs": None, "params": None}


# -- settling -----------------------------------------------------------------------------------------------------

A, B, C, D, E, F = ((number,) for number in range(6))


def settle(predicted, measured, bound=10.0, order=None):
    calls = []

    def measure(genomes):
        calls.append(list(genomes))
        return [measured[genome] for genome in genomes]

    return settled(order or list(predicted), predicted, bound, measure), calls


def test_the_first_that_is_within_the_bound():
    predicted = {A: 9.8, B: 9.0, C: 8.0, D: 7.0, E: 6.0}
    chosen, calls = settle(predicted, {A: 10.5, B: 9.5, C: 8.5, D: 7.5})
    assert (chosen.genome, chosen.measured_ms, chosen.predicted_ms, chosen.measured) == (B, 9.5, 9.0, 4)
    assert calls == [[A, B, C, D], [B]]
    assert chosen.factor == pytest.approx(np.median([10.5 / 9.8, 9.5 / 9, 8.5 / 8, 7.5 / 7]))


def test_predictions_are_corrected_by_what_was_measured():
    """All take half as long again: E, predicted 9, is not tried any more, and F, predicted 6, is."""
    predicted = {A: 9.9, B: 9.8, C: 9.7, D: 9.6, E: 9.0, F: 6.0}
    chosen, calls = settle(predicted, {genome: ms * 1.5 for genome, ms in predicted.items()})
    assert calls == [[A, B, C, D], [F], [F]]
    assert (chosen.genome, chosen.measured_ms) == (F, 9.0)


def test_one_lucky_measurement_lets_no_subnet_pass():
    times = {A: [9.5, 11.5], B: [9.9, 10.0]}
    chosen = settled([A, B], {A: 9.0, B: 8.0}, 10.0, lambda genomes: [times[genome].pop(0) for genome in genomes])
    assert (chosen.genome, chosen.measured) == (B, 2)
    assert chosen.measured_ms == pytest.approx(9.95)


def test_one_that_leaves_much_of_the_bound_gives_way_to_better_ones():
    """The model is off: of those that it held for too slow, the quickest are measured next, and not the slowest."""
    predicted = {A: 14.0, B: 12.0, C: 11.0, D: 9.0, E: 8.0}
    measured = {B: 9.9, C: 9.5, D: 7.9, E: 8.0}
    chosen, calls = settle(predicted, measured)
    assert calls == [[D, E], [D], [C, B], [B]]
    assert (chosen.genome, chosen.measured_ms, chosen.measured) == (B, 9.9, 4)


def test_where_none_is_within_the_bound_the_quickest_is_taken():
    predicted = {A: 9.9, B: 9.8, C: 9.7, D: 9.6, E: 9.5}
    chosen, calls = settle(predicted, {genome: ms * 2 for genome, ms in predicted.items()})
    assert calls == [[A, B, C, D], [E]]
    assert (chosen.genome, chosen.measured_ms) == (E, 19.0)
    many = {(number,): 9.0 for number in range(40)}
    chosen, calls = settle(many, dict.fromkeys(many, 11.0))
    assert chosen.measured == sum(map(len, calls)) == 16
    assert math.isclose(chosen.factor, 11 / 9)
