"""Several processes that train, search and evaluate as one: who they are, how they talk, how they are started."""

from pocketgan.distributed.norm import join
from pocketgan.distributed.start import check_gpus, enter, launch, launched, processes_of
from pocketgan.distributed.world import ALONE, World, has_met, speaks_first, world

__all__ = [
    "ALONE",
    "World",
    "check_gpus",
    "enter",
    "has_met",
    "join",
    "launch",
    "launched",
    "processes_of",
    "speaks_first",
    "world",
]
