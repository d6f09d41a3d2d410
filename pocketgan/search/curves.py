"""How a search went."""

from __future__ import annotations

import itertools

from pocketgan.search.result import SearchResult


def best_so_far(result: SearchResult) -> list[float]:
    """The best objective after each evaluation, the first one first.

    Before the first finite score it is infinitely bad: inf where lower is better, else -inf.
    """
    sign = 1 if result.better == "lower" else -1
    return [sign * loss for loss in itertools.accumulate(map(result.loss, result.candidates), min)]
