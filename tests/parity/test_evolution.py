"""The evolutionary search finds what the official one finds, on the official settings."""

import itertools
import os

import numpy as np
import pytest

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.dimensions import vary
from pocketgan.elastic.layer_costs import layer_costs
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import ResnetSpec
from pocketgan.search import Evolution, Exhaustive, Feasible, search
from pocketgan.search.strategies import sampling_weights
from tests.parity.golden import GOLDEN, Case

PATH = GOLDEN / "metrics" / "evolution_search.json"

pytestmark = pytest.mark.skipif(not PATH.exists(), reason="the golden data are not beside the repository")


class WithoutNorms(CostModel):
    """MACs as the oldest of the official tables count them: the papers' convention without instance norms."""

    def __init__(self, spec, size):
        super().__init__(spec, size)

        def norms(widths):
            return sum(layer.norm for layer in layer_costs(spec.resized(widths), size))

        # The number of elements is affine in the widths.
        base = norms(spec.widths)
        self.slopes = np.array([norms(vary(spec.widths, g)) - base for g in range(len(spec.widths))])
        self.rest = base - self.slopes @ np.array(spec.widths)

    def _sums(self, figures, widths):
        sums = super()._sums(figures, widths)
        return {**sums, "macs": sums["macs"] - widths @ self.slopes - self.rest}


@pytest.fixture(scope="module")
def golden():
    return Case(PATH)["values"]


@pytest.fixture(scope="module")
def space():
    return space_named("channels-32", ResnetSpec.uniform(1).mobile)


@pytest.fixture(scope="module")
def model(space):
    return WithoutNorms(space.spec, 256)


@pytest.fixture(scope="module")
def score(golden):
    """The golden, made-up FID."""
    weights, largest = golden["weights"], golden["options_per_position"][0][0]

    def fid(c):
        distance = sum(w * (largest - n) ** 1.3 / 10 for w, n in zip(weights, c, strict=True))
        return 40 + distance + (sum((i + 1) * n for i, n in enumerate(c)) * 7919 % 97) / 97

    return lambda genomes: [{"fid": fid(genome)} for genome in genomes]


@pytest.fixture
def run(space, model, golden, score, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def run(strategy, seed):
        budget = Budget(macs=int(golden["budget"]))
        path = tmp_path / f"{strategy.kind}-{seed}"
        return search(
            space, model, budget, strategy, score, objective="fid", better="lower", seed=seed, storage=path
        )

    return run


def test_space_and_samples(golden, space, model, score):
    assert [list(choice.options) for choice in space.choices] == golden["options_per_position"]
    assert space.size == golden["space_size"]
    feasible = Feasible(space, model, Budget(macs=int(golden["budget"])))
    assert len(feasible.all) == golden["feasible_count"]
    assert model.one(space.widths(space.smallest))["macs"] == golden["smallest_macs"]
    assert model.one(space.widths(space.largest))["macs"] == golden["largest_macs"]
    genomes = [tuple(sample["channels"]) for sample in golden["samples"]]
    assert feasible.costs(genomes).macs.tolist() == [sample["macs"] for sample in golden["samples"]]
    assert feasible.fits(genomes).tolist() == [sample["feasible"] for sample in golden["samples"]]
    fids = [scores["fid"] for scores in score(genomes)]
    assert fids == pytest.approx([sample["fid"] for sample in golden["samples"]], abs=1e-9)


def test_exhaustive_search_finds_the_optimum(golden, run):
    result = run(Exhaustive(), seed=233)
    assert len(result.candidates) == golden["feasible_count"]
    assert result.best.genome == tuple(golden["optimum"]["channels"])
    assert result.best.costs["macs"] == golden["optimum"]["macs"]
    assert result.best.scores["fid"] == pytest.approx(golden["optimum"]["fid"], abs=1e-9)


@pytest.mark.parametrize("seed", range(233, 238))
def test_evolution_comes_as_close_as_the_official_one(golden, run, seed):
    official = golden["official_settings"]
    strategy = Evolution(
        population=official["population"],
        mutation_ratio=official["mutation_ratio"],
        parent_ratio=official["parent_ratio"],
        mutation_probability=official["mutate_prob"],
        generations=official["generations"],
    )
    result = run(strategy, seed)
    assert result.best.costs["macs"] <= golden["budget"]
    assert result.best.scores["fid"] <= 1.03 * golden["optimum"]["fid"]
    by_generation = itertools.groupby(result.candidates, lambda candidate: candidate.generation)
    history = [min(candidate.scores["fid"] for candidate in candidates) for _, candidates in by_generation]
    assert list(itertools.accumulate(history, min))[-1] == result.best.scores["fid"]
    assert len(result.candidates) < golden["feasible_count"]


def test_weighted_sampling(golden):
    for name, wanted in golden["weighted_sampling"].items():
        weighting, strength, options = name.split("_")
        weights = sampling_weights(int(options.removeprefix("n")), weighting, float(strength))
        assert weights == pytest.approx(wanted, abs=1e-12)
