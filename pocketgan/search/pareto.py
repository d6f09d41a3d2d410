"""Many points, all of whose figures should be low: who dominates whom, and where they stand close together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def ranks(points: Float[np.ndarray, "n figures"]) -> Int[np.ndarray, " n"]:
    """Non-dominated sorting: 0 for the front, 1 for the front of what is left without it, and so on.

    A point dominates another when it is nowhere worse and somewhere better; equal points share their rank.
    Source: Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II, section III A.
    """
    no_worse = np.all(points[:, None] <= points[None], axis=2)
    dominates = no_worse & ~no_worse.T
    found = np.full(len(points), -1, dtype=np.int64)
    left = np.arange(len(points))
    rank = 0
    while len(left):
        front = ~dominates[np.ix_(left, left)].any(axis=0)
        found[left[front]] = rank
        left = left[~front]
        rank += 1
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
