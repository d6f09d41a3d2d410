"""Reinforcement learning: a recurrent policy that learns which genomes score well."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from pocketgan.networks import Genome
from pocketgan.search.feasible import TRIES, Feasible
from pocketgan.search.policy import Policy
from pocketgan.search.strategy import Course, Scored, Strategy, stream
from pocketgan.seeds import derive_seed


class Reinforcement(Strategy):
    """The controller that the search for architectures began with.

    A generation is `population` genomes that the policy draws; there are `generations` after the first. When they
    are scored, REINFORCE takes one step of Adam. The reward is the score, better is higher, less a moving average
    of earlier scores and divided by their moving deviation; both give what was before the weight `memory`. A score
    that is not finite has reward -1. To the reward comes `entropy` times the policy's entropy in nats, lest it
    settles too early.

    The budget is a constraint: what it refuses is not scored, but teaches at once, with the log of the share of the
    budget that it would take as negative reward. What was scored before is not scored again and teaches no more.
    A generation ends early where the policy finds nothing new in `TRIES` rounds.

    Source: Zoph & Le 2017, Neural architecture search with reinforcement learning, section 3.2; the entropy from
    Pham et al. 2018, Efficient neural architecture search via parameter sharing, section 3.
    """

    kind: Literal["reinforcement"] = "reinforcement"
    population: int = Field(default=20, gt=0)
    generations: int = Field(default=100, ge=0)
    width: int = Field(default=32, gt=0)
    learning_rate: float = Field(default=0.02, gt=0)
    entropy: float = Field(default=0.2, ge=0)
    memory: float = Field(default=0.8, ge=0, lt=1)

    def most_after(self, generation: int) -> int:
        return self.population * max(0, self.generations - generation)

    def course(self, feasible: Feasible, seed: int) -> Course:
        controller = Controller(self, feasible, seed)
        for generation in range(self.generations + 1):
            controller.hear((yield controller.draw(generation)))
            if controller.moments is None:
                return


class Controller:
    """The policy on its way through one search. `moments`: the moving mean and variance of the finite losses."""

    def __init__(self, settings: Reinforcement, feasible: Feasible, seed: int) -> None:
        self.settings, self.feasible, self.seed = settings, feasible, seed
        self.options = [choice.options for choice in feasible.space.choices]
        start = torch.Generator().manual_seed(derive_seed(seed, "search", "policy"))
        self.policy = Policy([len(options) for options in self.options], settings.width, start)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=settings.learning_rate)
        self.moments: Float[np.ndarray, " 2"] | None = None
        self.known: set[Genome] = set()

    def draw(self, generation: int) -> list[Genome]:
        """Genomes that fit the budget and are new; those that do not fit teach the policy."""
        count = self.settings.population
        found: dict[Genome, None] = {}
        for attempt in range(TRIES):
            randoms = torch.Generator().manual_seed(derive_seed(self.seed, "search", generation, attempt))
            numbers = self.policy.sample(count, randoms).tolist()
            drawn = [tuple(own[i] for own, i in zip(self.options, row, strict=True)) for row in numbers]
            drawn = [tuple(genome) for genome in self.feasible.space.canonical(np.array(drawn)).tolist()]
            fits = self.feasible.fits(drawn)
            found |= {g: None for g, fit in zip(drawn, fits, strict=True) if fit and g not in self.known}
            if len(found) >= count:
                break
            refused = [genome for genome, fit in zip(drawn, fits, strict=True) if not fit]
            if refused:
                self._learn(refused, -np.log(self._shares(refused)))
        # where hardly anything fits, something must be scored all the same
        return list(found)[:count] or self.feasible.first_fitting(
            [(stream(self.seed, generation, 0), lambda _: drawn[0])]
        )

    def hear(self, scored: list[Scored]) -> None:
        """Learn from the generation's scores."""
        genomes = [one.genome for one in scored]
        self.known.update(genomes)
        losses = np.array([one.loss for one in scored])
        finite = losses[np.isfinite(losses)]
        if self.moments is None and len(finite):
            self.moments = np.array([finite.mean(), finite.var()])
        if self.moments is not None and scored:
            mean, variance = self.moments
            reward = (mean - losses) / (math.sqrt(variance) or 1.0)
            self._learn(genomes, np.where(np.isfinite(losses), reward, -1.0))
            if len(finite):
                now = np.array([finite.mean(), np.square(finite - mean).mean()])
                self.moments += (1 - self.settings.memory) * (now - self.moments)

    def _learn(self, genomes: list[Genome], rewards: Float[np.ndarray, " n"]) -> None:
        """One step of REINFORCE."""
        numbers = [[own.index(n) for own, n in zip(self.options, genome, strict=True)] for genome in genomes]
        log, entropy = self.policy(torch.tensor(numbers))
        gain = log * torch.from_numpy(rewards) + self.settings.entropy * entropy
        self.optimizer.zero_grad()
        (-gain.mean()).backward()
        self.optimizer.step()

    def _shares(self, genomes: list[Genome]) -> Float[np.ndarray, " n"]:
        """What share of the budget each genome takes, by the tightest of its bounds."""
        costs, bounds = self.feasible.costs(genomes), self.feasible.budget.bounds
        return np.max([getattr(costs, name) / bound for name, bound in bounds.items()], axis=0)
