import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgan.search import Candidate, SearchResult


def result(points, better="lower"):
    return SearchResult(
        objective="fid",
        better=better,
        candidates=tuple(
            Candidate(genome=(i,), generation=0, costs={"macs": macs}, scores={"fid": fid})
            for i, (macs, fid) in enumerate(points)
        ),
    )


def genomes(candidates):
    return [candidate.genome[0] for candidate in candidates]


def test_best_prefers_the_objective_then_fewer_macs_then_the_first():
    points = [(5, 2.0), (4, 1.0), (3, 1.0), (3, 1.0), (1, None)]
    assert result(points).best.genome == (2,)
    assert result(points, "higher").best.genome == (0,)


@pytest.mark.parametrize(("better", "sign"), [("lower", 1), ("higher", -1)])
def test_of_those_near_the_best_the_largest_is_ranked_first(better, sign):
    """Within 5 % of 100 are 105 and 100, where higher is better 95 and 100."""
    points = [(1, 100), (2, 100 + 5 * sign), (9, 100 + 6 * sign), (3, 100 + 9 * sign), (7, None)]
    found = result(points, better)
    assert genomes(found.ranked(0.05)) == [1, 0, 2, 3]
    assert genomes(found.ranked()) == [0, 1, 2, 3]


@pytest.mark.parametrize("better", ["lower", "higher"])
@given(points=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9) | st.none()), min_size=1))
def test_front_holds_what_nothing_dominates(better, points):
    found = result(points, better)
    front = genomes(found.front())
    sign = 1 if better == "lower" else -1
    scored = {i: (macs, sign * fid) for i, (macs, fid) in enumerate(points) if fid is not None}
    undominated = {
        a for a in scored.values() if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in scored.values())
    }
    assert [scored[i] for i in front] == sorted(undominated)
    assert all(i == min(j for j in scored if scored[j] == scored[i]) for i in front)


def test_front_by_another_cost():
    found = result([(5, 1.0), (4, 2.0), (3, 3.0)])
    by_params = [
        one.model_copy(update={"costs": {"macs": 1, "params": params}})
        for one, params in zip(found.candidates, (1, 2, 0), strict=True)
    ]
    found = found.model_copy(update={"candidates": tuple(by_params)})
    assert genomes(found.front("params")) == [2, 0]
    assert genomes(found.front()) == [0]


def test_json_both_ways():
    found = result([(5, 2.5), (4, None)])
    assert SearchResult.model_validate_json(found.model_dump_json()) == found
