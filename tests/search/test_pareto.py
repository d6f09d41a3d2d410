import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pocketgan.search.pareto import crowding, front_of, ranks

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20)


def dominates(a, b):
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


numbers = st.integers(0, 6).map(float) | st.sampled_from([math.nan, math.inf, -math.inf])


@given(st.lists(st.tuples(numbers, numbers), max_size=14))
def test_front_equals_brute_force(points):
    finite = {i: point for i, point in enumerate(points) if all(map(math.isfinite, point))}
    front = front_of(points)
    assert sorted(front) == [i for i, p in finite.items() if not any(dominates(q, p) for q in finite.values())]
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)


@given(points)
def test_ranks_are_the_fronts_taken_away_one_by_one(points):
    found = ranks(np.array(points, dtype=float).reshape(-1, 2))
    left, rank = list(range(len(points))), 0
    while left:
        front = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        assert [i for i in left if found[i] == rank] == front
        left, rank = [i for i in left if i not in front], rank + 1


@given(st.sets(st.integers(0, 99), min_size=1, max_size=12), st.randoms())
def test_crowding_sums_the_gaps_between_neighbours(xs, rng):
    front = [(float(x), 1000.0 - x**1.5) for x in xs]
    rng.shuffle(front)
    for point, found in zip(front, crowding(np.array(front)), strict=True):
        wanted = 0.0
        for figure in range(2):
            values = [other[figure] for other in front]
            below = [value for value in values if value < point[figure]]
            above = [value for value in values if value > point[figure]]
            ends = not below or not above
            wanted += math.inf if ends else (min(above) - max(below)) / (max(values) - min(values))
        assert math.isclose(found, wanted, rel_tol=1e-9)


def test_equal_points_are_crowded():
    assert crowding(np.array([[1.0, 1.0]] * 4)).tolist() == [math.inf, 0, 0, math.inf]
    assert ranks(np.array([[1.0, 1.0]] * 4)).tolist() == [0] * 4
