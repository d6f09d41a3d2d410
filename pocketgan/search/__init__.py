"""Search: which subnet of a supernet to keep. Knows costs and scores, never training."""

from pocketgan.search.feasible import Feasible
from pocketgan.search.result import Better, Candidate, SearchResult
from pocketgan.search.strategies import AnyStrategy, Evolution, Exhaustive, Random, Strategy
from pocketgan.search.study import Score, search

__all__ = [
    "AnyStrategy",
    "Better",
    "Candidate",
    "Evolution",
    "Exhaustive",
    "Feasible",
    "Random",
    "Score",
    "SearchResult",
    "Strategy",
    "search",
]
