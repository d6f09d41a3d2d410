"""Search: which subnet of a supernet to keep. Knows costs and scores, never training."""

from pocketgan.search.curves import best_so_far
from pocketgan.search.feasible import Feasible
from pocketgan.search.nsga2 import Nsga2
from pocketgan.search.racing import Race, Racer
from pocketgan.search.reinforcement import Reinforcement
from pocketgan.search.result import Candidate, Cost, SearchResult
from pocketgan.search.storage import Place, check_url, reach
from pocketgan.search.strategies import AnyStrategy, Evolution, Exhaustive, Random
from pocketgan.search.strategy import Strategy
from pocketgan.search.study import Score, search, work

__all__ = [
    "AnyStrategy",
    "Candidate",
    "Cost",
    "Evolution",
    "Exhaustive",
    "Feasible",
    "Nsga2",
    "Place",
    "Race",
    "Racer",
    "Random",
    "Reinforcement",
    "Score",
    "SearchResult",
    "Strategy",
    "best_so_far",
    "check_url",
    "reach",
    "search",
    "work",
]
