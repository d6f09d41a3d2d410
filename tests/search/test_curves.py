import math

import pytest

from pocketgan.search import Candidate, SearchResult, best_so_far


def result(scores, better):
    return SearchResult(
        objective="fid",
        better=better,
        candidates=tuple(
            Candidate(genome=(i,), generation=0, costs={"macs": 1}, scores={"fid": score, "other": -9.0})
            for i, score in enumerate(scores)
        ),
    )


@pytest.mark.parametrize(
    ("better", "wanted"),
    [("lower", [math.inf, 5, 5, 3, 3, 3, 1]), ("higher", [-math.inf, 5, 7, 7, 7, 7, 7])],
)
def test_the_best_after_each_evaluation(better, wanted):
    assert best_so_far(result([None, 5.0, 7.0, 3.0, None, 4.0, 1.0], better)) == wanted


def test_it_ends_at_the_best():
    found = result([4.0, -2.0, 0.0], "lower")
    assert best_so_far(found) == [4, -2, found.best.scores["fid"]]
