"""Strategies side by side: the same supernet, budget and score, and about as many evaluations."""

import hashlib

import pytest

from pocketgan.elastic.cost import CostModel
from pocketgan.errors import BudgetError
from pocketgan.search import Exhaustive, Feasible, search
from pocketgan.studies.search_baselines import SEARCH_BASELINES, search_baselines

pytestmark = pytest.mark.usefixtures("even_pace")


@pytest.fixture
def searches(toy):
    """At the width that a study has where none is named."""
    wide = toy.model_copy(update={"teacher_width": 32, "seed": 4})
    return {point.series: point.network for point in search_baselines(wide)}


def test_all_score_the_same_candidates_in_the_same_way(searches):
    first = searches["random"]
    for stage in searches.values():
        assert stage == first.model_copy(update={"strategy": stage.strategy, "seed": stage.seed})
    assert first.metric == SEARCH_BASELINES.metric


def test_seeds_are_those_of_the_searches(searches):
    """All search one supernet; the exhaustive search finds the same for every seed."""
    assert {stage.supernet.seed for stage in searches.values()} == {0}
    seeds = {series: stage.seed for series, stage in searches.items()}
    assert seeds.pop("exhaustive") == 0
    assert set(seeds.values()) == {4}


def test_everything_within_the_budget_can_be_scored(searches):
    """And is many times what the others score."""
    stage = searches["exhaustive"]
    model = CostModel(stage.space.spec, *stage.supernet.task.size)
    assert isinstance(stage.strategy, Exhaustive)
    assert 200 < len(Feasible(stage.space, model, stage.budget).all) <= 250


@pytest.mark.parametrize("series", ["random", "evolution", "NSGA-II", "reinforcement"])
def test_about_as_many_evaluations(series, searches, tmp_path):
    stage = searches[series]

    def score(genome) -> float:
        """Wider is better, and each genome differs a little."""
        luck = hashlib.sha256(repr(genome).encode()).digest()[0] / 255
        return sum(1 / width for width in genome) + 0.1 * luck

    model = CostModel(stage.space.spec, *stage.supernet.task.size)
    found = search(
        stage.space,
        model,
        stage.budget,
        stage.strategy,
        lambda genomes: [{"any": score(genome)} for genome in genomes],
        objective="any",
        better="lower",
        seed=0,
        storage=tmp_path / "journal.log",
    )
    assert 38 <= len(found.candidates) <= 58


def test_a_budget_that_nothing_fits_is_refused_before_anything_is_trained(toy):
    """Of one channel everywhere there is nothing smaller."""
    with pytest.raises(BudgetError, match="below the smallest subnet of a small space"):
        search_baselines(toy.model_copy(update={"teacher_width": 1}))
