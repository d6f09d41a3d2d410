"""Points, all of whose figures should be low: who dominates whom, and where they stand close together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pocketgan.units import Number


def front_of(points: Sequence[tuple[Number, Number]]) -> list[int]:
    """The places of the points that no other dominates, by their first figure; equal points stay together.

    A point dominates another when it is nowhere worse and somewhere better. Infinite ones and NaN do not count.
    """
    finite = [i for i, point in enumerate(points) if all(map(math.isfinite, point))]
    front: list[int] = []
    for i in sorted(finite, key=points.__getitem__):
        if not front or points[i][1] < points[front[-1]][1] or points[i] == points[front[-1]]:
            front.append(i)
    return front


def ranks(points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    """Non-dominated sorting: 0 for the front, 1 for the front of what is left without it, and so on.

    Points are finite; equal ones share their rank.
    Source: Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II, section III A.
    """
    found, left = np.zeros(len(points), dtype=np.int64), np.arange(len(points))
    while len(left):
        front = front_of([(x, y) for x, y in points[left].tolist()])
        left = np.delete(left, front)
        found[left] += 1
    return found


def crowding(points: Float[np.ndarray, "n figures"]) -> Float[np.ndarray, " n"]:
    """How far apart each point's neighbours in a front are: summed over the figures, each divided by its range.

    Infinite for the ends of the front.
    Source: Deb et al. 2002, section III B.
    """
    distance = np.zeros(len(points))
    for figure in points.T:
        order = np.argsort(figure, kind="stable")
        distance[order[[0, -1]]] = np.inf
        width = figure[order[-1]] - figure[order[0]]
        if width > 0:
            distance[order[1:-1]] += (figure[order[2:]] - figure[order[:-2]]) / width
    return distance
