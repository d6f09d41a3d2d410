from functools import partial

import pytest
from pydantic import TypeAdapter, ValidationError

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.networks import ResnetSpec
from pocketgan.search import AnyStrategy, Evolution, Exhaustive, Feasible, Nsga2, Random, Reinforcement
from pocketgan.search.strategies import sampling_weights
from tests.search.conftest import interacting


@pytest.fixture(scope="module")
def feasible(space, model):
    return Feasible(space, model, Budget(macs=150_000_000))


@pytest.mark.parametrize(
    "strategy",
    [
        Exhaustive(),
        Random(candidates=3),
        Evolution(weighting="geometric", first_generation=2),
        Nsga2(cost="params", generations=7),
        Reinforcement(population=4, entropy=0.3),
    ],
    ids=lambda strategy: strategy.kind,
)
def test_json_both_ways(strategy):
    adapter = TypeAdapter(AnyStrategy)
    assert adapter.validate_json(adapter.dump_json(strategy)) == strategy


@pytest.mark.parametrize(
    "fields", [{"population": 1}, {"parent_ratio": 0}, {"mutation_ratio": 1.1}, {"first_generation": 0}]
)
def test_impossible_settings_are_refused(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Evolution(weighting="geometric", **fields)


def test_a_strength_without_weighting_is_refused():
    with pytest.raises(ValidationError, match="first_generation=2 has no effect on uniform weighting"):
        Evolution(first_generation=2)


def test_exhaustive_lists_all_that_fits_in_the_order_of_the_seed(feasible):
    first, second = (Exhaustive().propose(0, feasible, [], seed) for seed in (1, 2))
    assert sorted(first) == sorted(second) == sorted(feasible.all)
    assert first != second


def test_exhaustive_refuses_what_it_cannot_finish(model):
    space = space_named("channels-64-pix2pix", ResnetSpec.uniform(1).mobile)
    with pytest.raises(SpecError) as error:
        Exhaustive().propose(0, Feasible(space, model, Budget()), [], 0)
    assert str(error.value) == (
        "exhaustive search scores at most 20,000 subnets, but more of the 5,764,801 in channels-64-pix2pix "
        "fit the budget; search by evolution, lower the budget or choose a smaller space"
    )


@pytest.mark.parametrize("listed", [True, False])
def test_random_draws_distinct_genomes(feasible, monkeypatch, listed):
    if not listed:
        monkeypatch.setattr(Feasible, "most", 10)
        feasible = Feasible(feasible.space, feasible.model, feasible.budget)
    genomes = Random(candidates=300).propose(0, feasible, [], 7)
    assert len(set(genomes)) == len(genomes) == 300
    assert feasible.fits(genomes).all()
    assert genomes == Random(candidates=300).propose(0, feasible, [], 7)
    assert genomes[:30] != Random(candidates=30).propose(0, feasible, [], 8)


def test_random_ends_where_genomes_run_out(feasible, monkeypatch):
    count = len(feasible.all)
    assert len(Random(candidates=10**6).propose(0, feasible, [], 0)) == count
    # Nor does it go on for ever where they are not listed.
    monkeypatch.setattr(Feasible, "most", 0)
    smallest = feasible.model.one(feasible.space.widths(feasible.space.smallest))["macs"]
    lonely = Feasible(feasible.space, feasible.model, Budget(macs=smallest))
    assert Random(candidates=3).propose(0, lonely, [], 0) == [feasible.space.smallest]


def test_a_child_depends_on_its_place_only(feasible):
    few, many = (Evolution(population=n, mutation_ratio=1).propose(0, feasible, [], 3) for n in (5, 20))
    assert many[:5] == few
    later = Evolution(population=20, mutation_ratio=1)
    assert later.propose(1, feasible, many[:4], 3) == later.propose(1, feasible, many[:4], 3)
    assert later.propose(1, feasible, many[:4], 3) != later.propose(2, feasible, many[:4], 3)


def test_children_come_from_their_parents(feasible):
    parents = Evolution(population=4).propose(0, feasible, [], 3)
    crossed = Evolution(population=40, mutation_ratio=0).propose(1, feasible, parents, 3)
    assert feasible.fits(crossed).all()
    for child in crossed:
        assert any(all(c in pair for c, *pair in zip(child, a, b, strict=True)) for a in parents for b in parents)
    assert len(set(crossed)) > len(parents)
    copies = Evolution(population=40, mutation_ratio=1, mutation_probability=0)
    assert set(copies.propose(1, feasible, parents, 3)) == set(parents)


def test_mutation_redraws_each_choice_with_its_probability(space, model):
    anything = Feasible(space, model, Budget())
    evolution = Evolution(population=2000, mutation_ratio=1, mutation_probability=0.3)
    children = evolution.propose(1, anything, [space.largest], 0)
    for column, choice in enumerate(space.choices):
        # A redrawn choice may come out as it was.
        wanted = 0.3 * (1 - 1 / len(choice.options))
        changed = sum(child[column] != space.largest[column] for child in children) / len(children)
        assert changed == pytest.approx(wanted, abs=0.04)


def test_weighting_favours_small_options_in_the_first_generation(space, model):
    anything = Feasible(space, model, Budget())
    evolution = Evolution(population=3000, weighting="geometric", first_generation=3)
    drawn = [genome[0] for genome in evolution.propose(0, anything, [], 0)]
    for option, wanted in zip((32, 24, 16), (1 / 13, 3 / 13, 9 / 13), strict=True):
        assert drawn.count(option) / len(drawn) == pytest.approx(wanted, abs=0.03)


def test_sampling_weights():
    assert sampling_weights(4, "uniform", 1.0) == (0.25,) * 4
    assert sampling_weights(1, "arithmetic", 5.0) == (1.0,)
    assert sampling_weights(3, "arithmetic", 3.0) == pytest.approx((1 / 6, 2 / 6, 3 / 6))
    assert sampling_weights(3, "geometric", 2.0) == pytest.approx((1 / 7, 2 / 7, 4 / 7))


@pytest.mark.parametrize(
    ("strategy", "most"),
    [
        (Exhaustive(), Feasible.most),
        (Random(candidates=30), 30),
        (Evolution(population=4, generations=5), 24),
        (Nsga2(population=4, generations=5), 24),
        (Reinforcement(population=4, generations=5), 24),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_how_many_a_strategy_scores_at_most(strategy, most):
    assert strategy.most_after(-1) == most
    assert strategy.most_after(getattr(strategy, "generations", 0)) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "strategy",
    [
        Evolution(population=20, generations=40, mutation_probability=0.4),
        Nsga2(population=30, generations=40, mutation_probability=0.3),
        Reinforcement(population=10, generations=35),
    ],
    ids=lambda strategy: strategy.kind,
)
def test_the_best_of_all_is_found_with_a_part_of_the_evaluations(find, strategy, seed):
    best, alone = (min(find.feasible.all, key=partial(interacting, of=of)) for of in (1, 0))
    assert best != alone, "without interaction another one were best"
    found = find(strategy, seed)
    assert len(found.candidates) < len(find.feasible.all) / 3
    assert found.best.genome == best
