import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import BudgetError
from pocketgan.networks import ResnetSpec
from pocketgan.search import Feasible


def between(space, model, share):
    """A budget that far from the smallest subnet's MACs to the largest's."""
    low, high = (model.one(space.widths(genome))["macs"] for genome in (space.smallest, space.largest))
    return Budget(macs=int(low + share * (high - low)))


@pytest.mark.parametrize("share", [0, 0.05, 0.3, 1])
def test_all_is_what_checking_each_genome_finds(space, model, share):
    budget = between(space, model, share)
    everything = list(itertools.product(*(choice.options for choice in space.choices)))
    macs = model(space.all_widths(np.array(everything))).macs
    wanted = [genome for genome, cost in zip(everything, macs, strict=True) if cost <= budget.macs]
    assert list(Feasible(space, model, budget).all) == wanted


def test_all_gives_up_on_long_lists(space, model, monkeypatch):
    budget = between(space, model, 0.1)
    count = len(Feasible(space, model, budget).all)
    monkeypatch.setattr(Feasible, "most", count)
    assert len(Feasible(space, model, budget).all) == count
    monkeypatch.setattr(Feasible, "most", count - 1)
    assert Feasible(space, model, budget).all is None


def test_a_budget_below_the_smallest_subnet_is_refused(space, model):
    smallest = model.one(space.widths(space.smallest))
    with pytest.raises(BudgetError, match="is below the smallest subnet of channels-32"):
        Feasible(space, model, Budget(params=smallest["params"] - 1))


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_whatever_is_drawn_fits(space, model, share, seed):
    feasible = Feasible(space, model, between(space, model, share))
    draws = [(random.Random(seed + i), space.sample) for i in range(10)]
    genomes = feasible.first_fitting(draws)
    assert all(genome in space for genome in genomes)
    assert feasible.fits(genomes).all()
    large = space.sample(random.Random(seed))
    small = feasible.shrunk(large, random.Random(seed))
    assert feasible.fits([small])[0]
    assert all(a <= b for a, b in zip(small, large, strict=True))
    assert (small == large) == feasible.fits([large])[0]


def test_the_first_fitting_draw_is_taken(space, model):
    feasible = Feasible(space, model, between(space, model, 0.3))
    rng = random.Random(5)
    wanted = next(g for g in iter(lambda: space.sample(rng), None) if feasible.fits([g])[0])
    assert feasible.first_fitting([(random.Random(5), space.sample)]) == [wanted]


def test_draws_that_never_fit_are_shrunk(space, model):
    feasible = Feasible(space, model, between(space, model, 0))
    assert feasible.first_fitting([(random.Random(0), lambda rng: space.largest)] * 3) == [space.smallest] * 3


def test_a_vast_space_under_a_tight_budget(model):
    """7^8 genomes, a handful of which fit: found without walking through the others."""
    space = space_named("channels-64-pix2pix", ResnetSpec.uniform(1).mobile)
    feasible = Feasible(space, model, between(space, model, 0.01))
    assert 1 < len(feasible.all) < 1000
    assert space.smallest in feasible.all


def test_networks_of_several_depths_and_kernels_are_listed_once():
    space = space_named("2_1,depth=2_1,kernel=5_3", ResnetSpec.uniform(1))
    model = CostModel(space.spec, 16)
    genomes = space.genomes(np.arange(space.size))
    every = [tuple(genome) for genome in genomes.tolist()]
    macs = dict(zip(every, model.of(space, genomes).macs.tolist(), strict=True))
    budget = Budget(macs=sorted(macs.values())[len(macs) // 3])
    feasible = Feasible(space, model, budget)
    wanted = {space.subspec(genome) for genome in every if macs[genome] <= budget.macs}
    assert len(feasible.all) == len(wanted) < sum(value <= budget.macs for value in macs.values())
    assert {space.subspec(genome) for genome in feasible.all} == wanted
    drawn = feasible.first_fitting([(random.Random(seed), space.sample) for seed in range(50)])
    assert set(drawn) <= set(feasible.all)
    assert feasible.first_fitting([]) == []
