import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import ResnetSpec
from pocketgan.search import Feasible, Reinforcement
from pocketgan.search.reinforcement import Controller
from pocketgan.search.strategy import Scored
from tests.search.conftest import interacting


@pytest.fixture
def control(space, model):
    def control(budget, **settings):
        return Controller(Reinforcement(**settings), Feasible(space, model, budget), 5)

    return control


def scored(genomes, losses):
    return [Scored(genome, float(loss), {}) for genome, loss in zip(genomes, losses, strict=True)]


def probabilities(controller, genomes):
    numbers = [[own.index(n) for own, n in zip(controller.options, g, strict=True)] for g in genomes]
    return controller.policy(torch.tensor(numbers))[0].exp().tolist()


@pytest.mark.parametrize("seed", range(3))
def test_the_best_options_become_likelier(find, seed):
    feasible = find.feasible
    controller = Controller(Reinforcement(), feasible, seed)
    best = sorted(feasible.all, key=interacting)[:20]
    worst = sorted(feasible.all, key=interacting)[-20:]
    before = sum(probabilities(controller, best))
    for generation in range(12):
        genomes = controller.draw(generation)
        controller.hear(scored(genomes, map(interacting, genomes)))
    assert sum(probabilities(controller, best)) > 5 * before
    assert sum(probabilities(controller, best)) > 20 * sum(probabilities(controller, worst))


def test_good_scores_make_likelier_and_bad_ones_less_likely(control):
    controller = control(Budget(), entropy=0, population=2)
    good, bad = controller.draw(0)
    before = probabilities(controller, [good, bad])
    controller.hear(scored([good, bad], [1, 3]))
    after = probabilities(controller, [good, bad])
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_what_has_no_score_becomes_less_likely(control):
    controller = control(Budget(), entropy=0, population=3)
    genomes = controller.draw(0)
    before = probabilities(controller, genomes)
    controller.hear(scored(genomes, [2, math.inf, 2]))
    assert probabilities(controller, genomes)[1] < before[1]


def test_the_baseline_is_a_moving_average_of_finite_scores(control):
    controller = control(Budget(), memory=0.75, population=3)
    controller.hear(scored(controller.draw(0), [math.inf] * 3))
    assert controller.moments is None
    controller.hear(scored(controller.draw(1), [1, 2, 3]))
    assert controller.moments.tolist() == pytest.approx([2, 2 / 3])
    controller.hear(scored(controller.draw(2), [4, math.inf, 8]))
    assert controller.moments.tolist() == pytest.approx([0.75 * 2 + 0.25 * 6, 0.75 * 2 / 3 + 0.25 * (4 + 36) / 2])
    controller.hear(scored(controller.draw(3), [math.inf] * 3))
    assert controller.moments.tolist() == pytest.approx([3, 5.5])


def test_the_budget_teaches(control, space, model):
    """Few genomes fit; soon the policy draws more of those."""
    feasible = Feasible(space, model, Budget(macs=120_000_000))
    controller = control(feasible.budget, population=10)

    def fitting():
        numbers = controller.policy.sample(500, torch.Generator().manual_seed(0)).tolist()
        drawn = [tuple(own[i] for own, i in zip(controller.options, row, strict=True)) for row in numbers]
        return np.mean(feasible.fits(drawn))

    before = fitting()
    assert 0 < before < 0.1
    genomes = controller.draw(0)
    assert feasible.fits(genomes).all()
    for generation in range(1, 4):
        controller.hear(scored(genomes, [1] * len(genomes)))
        genomes = controller.draw(generation)
    assert fitting() > 3 * before


def test_no_genome_is_drawn_twice(control):
    controller, seen = control(Budget(macs=130_000_000), population=15), []
    for generation in range(4):
        genomes = controller.draw(generation)
        seen += genomes
        controller.hear(scored(genomes, range(len(genomes))))
    assert len(set(seen)) == len(seen) > 45


def test_networks_of_several_depths_are_drawn_once():
    space = space_named("2_1,depth=2_1", ResnetSpec.uniform(1))
    controller = Controller(Reinforcement(population=40), Feasible(space, CostModel(space.spec, 16), Budget()), 0)
    genomes = controller.draw(0)
    assert len({space.subspec(genome) for genome in genomes}) == len(genomes) == 40


def test_where_hardly_anything_fits_something_is_found(control, space, model):
    smallest = model.one(space.widths(space.smallest))["macs"]
    controller = control(Budget(macs=smallest), learning_rate=1e-9)
    assert controller.draw(0) == [space.smallest]


def test_draws_depend_on_the_place_and_on_what_was_heard(control):
    one, two = control(Budget(), population=30), control(Budget(), population=30)
    assert one.draw(0) == two.draw(0)
    assert one.draw(1) != one.draw(0)
    two.hear(scored(two.draw(0), range(30)))
    assert one.draw(2) != two.draw(2)


@pytest.mark.parametrize("fields", [{"population": 0}, {"memory": 1}, {"entropy": -1}, {"learning_rate": 0}])
def test_impossible_settings_are_refused(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Reinforcement(**fields)
