import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pocketgan.elastic.budget import Budget
from pocketgan.search import Evolution, Feasible, Nsga2
from pocketgan.search.pareto import crowding
from pocketgan.search.strategy import Scored
from tests.search.conftest import interacting


@pytest.fixture(scope="module")
def feasible(space, model):
    return Feasible(space, model, Budget(macs=150_000_000))


def scored(points, cost="macs"):
    return [
        Scored((i,), float(loss), {"macs": 0, "true_macs": 0, "params": 0, cost: value})
        for i, (loss, value) in enumerate(points)
    ]


def volume(points, worst):
    """The area that some of the points dominates, up to the worst point."""
    area, height = 0.0, worst[1]
    for cost, loss in sorted(points):
        if loss < height:
            area += (worst[0] - cost) * (height - loss)
            height = loss
    return area


@pytest.mark.parametrize("cost", ["macs", "true_macs", "params"])
@given(points=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=16), count=st.integers(2, 9))
def test_whole_fronts_survive_and_the_last_one_where_it_is_thin(cost, points, count):
    survivors = Nsga2(population=count, cost=cost).select(scored(points, cost))
    wanted, left = [], list(range(len(points)))
    while left:
        front = [
            i
            for i in left
            if not any(
                points[j] != points[i] and points[j][0] <= points[i][0] and points[j][1] <= points[i][1]
                for j in left
            )
        ]
        apart = crowding(np.array([points[i] for i in front], dtype=float))
        wanted += [front[k] for k in sorted(range(len(front)), key=lambda k: -apart[k])]
        left = [i for i in left if i not in front]
    assert [survivor.genome[0] for survivor in survivors] == wanted[:count]


def test_the_first_generation_holds_the_end_of_every_front(feasible):
    drawn = Nsga2(population=30).propose(0, feasible, [], 3)
    assert drawn[0] == feasible.space.smallest
    assert len(set(drawn)) > 20
    assert feasible.fits(drawn).all()


def test_children_come_from_their_parents(feasible):
    parents = Nsga2(population=4).propose(0, feasible, [], 3)
    crossing = Nsga2(population=40, crossover_probability=1, mutation_probability=0)
    crossed = crossing.propose(1, feasible, parents, 3)
    assert feasible.fits(crossed).all()
    for child in crossed:
        assert any(all(c in pair for c, *pair in zip(child, a, b, strict=True)) for a in parents for b in parents)
    assert len(set(crossed)) > len(parents)
    copying = Nsga2(population=40, crossover_probability=0, mutation_probability=0)
    assert set(copying.propose(1, feasible, parents, 3)) <= set(parents)


def test_tournaments_favour_the_first(space, model):
    """The better of two out of n: place i wins with probability (2 (n - i) - 1) / n^2."""
    parents = [tuple(choice.options[k % 3] for choice in space.choices) for k in range(3)]
    copying = Nsga2(population=4000, crossover_probability=0, mutation_probability=0)
    children = copying.propose(1, Feasible(space, model, Budget()), parents, 0)
    for place, parent in enumerate(parents):
        assert children.count(parent) / 4000 == pytest.approx((5 - 2 * place) / 9, abs=0.03)


def test_a_child_has_one_choice_redrawn_on_average(space, model):
    children = Nsga2(population=3000, crossover_probability=0).propose(
        1, Feasible(space, model, Budget()), [space.largest], 0
    )
    changed = sum(a != b for child in children for a, b in zip(child, space.largest, strict=True)) / 3000
    # of three options a redrawn one is the old one in a third of all cases
    assert changed == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize("fields", [{"population": 1}, {"cost": "latency"}, {"crossover_probability": 1.1}])
def test_impossible_settings_are_refused(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Nsga2(**fields)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cost", ["macs", "params"])
def test_the_front_is_nearly_that_of_all_genomes(find, cost, seed):
    feasible = find.feasible
    costs = getattr(feasible.costs(feasible.all), cost).tolist()
    losses = [interacting(genome) for genome in feasible.all]
    worst = (max(costs) + 1, max(losses) + 1)
    whole = volume(zip(costs, losses, strict=True), worst)

    def share(strategy):
        result = find(strategy, seed)
        front = [(c.costs[cost], c.scores["fid"]) for c in result.front(cost)]
        return volume(front, worst) / whole, len(result.candidates)

    found, count = share(Nsga2(population=40, generations=16, cost=cost))
    assert count < len(feasible.all) / 3
    assert found > 0.94
    # Evolution looks for the best score alone.
    assert found > share(Evolution(population=40, generations=16))[0]
