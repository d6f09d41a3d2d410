"""Candidates that fall behind are stopped, which changes neither the winner nor what a resumed search finds."""

import math

import numpy as np
import pytest

from pocketgan.errors import OutputError, SpecError
from pocketgan.metrics.bootstrap import Contributions
from pocketgan.search import Evolution, Nsga2, Race, Racer, Random, search
from pocketgan.search.racing import behind, student

from .conftest import interacting

IMAGES, LOOKS = 96, (12, 24, 48, 96)


class Faces:
    """A score that is a mean over images, which differ by more than the candidates do."""

    def __init__(self, sign=1):
        self.sign, self.images, self.calls = sign, 0, 0
        random = np.random.default_rng(0)
        self.image = 30 * random.standard_normal(IMAGES)

    def values(self, genome):
        own = np.random.default_rng(sum(number * 31**place for place, number in enumerate(genome)))
        return self.sign * (interacting(genome) + self.image + own.standard_normal(IMAGES))

    def __call__(self, genome):
        self.calls += 1
        values = self.values(genome)
        for look in LOOKS:
            self.images += look - (0 if look == LOOKS[0] else look // 2)
            yield Contributions(values[None, :look])


@pytest.fixture
def run(space, model, find):
    """A search in a race, or on all images."""

    def run(storage, strategy, faces, *, race=True, better="lower", seed=1, **options):
        def score(genomes):
            return [{"fid": [*faces(genome)][-1].value} for genome in genomes]

        racer = Racer(Race(), faces, objective="fid", better=better, survivors=strategy.survivors)
        return search(
            space,
            model,
            find.feasible.budget,
            strategy,
            racer if race else score,
            objective="fid",
            better=better,
            seed=seed,
            storage=storage,
            **options,
        )

    return run


@pytest.mark.parametrize("strategy", [Random(candidates=40), Evolution(population=12, generations=3)])
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_the_winner_is_that_of_the_whole_search(run, tmp_path, strategy, better):
    sign = 1 if better == "lower" else -1
    whole, raced = Faces(sign=sign), Faces(sign=sign)
    wanted = run(tmp_path / "whole", strategy, whole, race=False, better=better)
    found = run(tmp_path / "raced", strategy, raced, better=better)
    assert found.best == wanted.best
    assert raced.images < 0.7 * whole.images
    assert [one.genome for one in found.candidates] == [one.genome for one in wanted.candidates]
    for mine, theirs in zip(found.candidates, wanted.candidates, strict=True):
        if mine.images is None:
            assert mine == theirs
        else:
            assert mine.images in LOOKS[:-1]
            assert found.loss(mine) > found.loss(found.best)
    stopped = {one.genome for one in found.candidates if one.images}
    assert stopped
    assert not stopped & {one.genome for one in found.front()}


def test_interrupted_and_resumed_equals_uninterrupted(run, tmp_path):
    strategy = Evolution(population=10, generations=3)
    whole = run(tmp_path / "whole", strategy, Faces())

    class Interrupted(Faces):
        def __call__(self, genome):
            if self.calls == self.stop:
                raise KeyboardInterrupt
            return super().__call__(genome)

    for stop in (1, 5, 9, 6):
        faces = Interrupted()
        faces.stop = stop
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "pieces", strategy, faces, batch=3)
    assert run(tmp_path / "pieces", strategy, Faces(), batch=7) == whole
    with pytest.raises(OutputError, match="holds a search with another race"):
        run(tmp_path / "pieces", strategy, Faces(), race=False)


def test_a_candidate_without_a_finite_score_loses(run, tmp_path):
    class Broken(Faces):
        def values(self, genome):
            return super().values(genome) * (np.inf if sum(genome) % 3 == 0 else 1)

    found = run(tmp_path / "journal", Random(candidates=20), Broken())
    assert None in [one.scores["fid"] for one in found.candidates]
    assert math.isfinite(found.best.scores["fid"])


def test_a_front_is_not_found_in_a_race(run, tmp_path):
    with pytest.raises(SpecError, match="a race finds one best network, and nsga2 looks for a front; leave"):
        run(tmp_path / "journal", Nsga2(population=4), Faces())


def test_the_error_is_the_stated_one():
    """Draws from finite sets of mean 0: a candidate that is no worse is stopped as seldom as stated."""
    random, wrong, rounds = np.random.default_rng(0), 0, 4000
    for _ in range(rounds):
        differences = random.standard_normal(60)
        differences -= differences.mean()
        wrong += behind(differences[:15], 60, 0.05)
    assert wrong / rounds == pytest.approx(0.05, abs=0.012)


def test_quantiles_of_students_t():
    # from the tables in Abramowitz and Stegun, 26.10
    for probability, freedom, wanted in (
        (0.975, 4, 2.776),
        (0.975, 10, 2.228),
        (0.995, 10, 3.169),
        (0.99, 30, 2.457),
    ):
        assert student(probability, freedom) == pytest.approx(wanted, rel=0.01)
