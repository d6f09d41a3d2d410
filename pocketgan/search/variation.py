"""How children come from their parents."""

from __future__ import annotations

import random

from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import Genome


def mutated(space: SearchSpace, parent: Genome, probability: float, rng: random.Random) -> Genome:
    """Each choice redrawn uniformly with a probability."""
    return tuple(
        rng.choice(choice.options) if rng.random() < probability else number
        for number, choice in zip(parent, space.choices, strict=True)
    )


def crossed(first: Genome, second: Genome, rng: random.Random) -> Genome:
    """Each choice from one of two parents."""
    return tuple(rng.choice(pair) for pair in zip(first, second, strict=True))
