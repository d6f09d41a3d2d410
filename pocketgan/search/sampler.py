"""A strategy as a sampler of Optuna: each trial gets the next genome of the generation."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseGASampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from pocketgan.networks import Genome
from pocketgan.search.feasible import Feasible
from pocketgan.search.strategies import Strategy


class GenerationSampler(BaseGASampler):
    """Hands out the genomes of a strategy, generation by generation, without those that were scored before.

    A genome is the categorical parameters c0, c1, ... Call `waiting` before asking for trials.
    """

    def __init__(self, strategy: Strategy, feasible: Feasible, seed: int) -> None:
        super().__init__(population_size=None)
        self.strategy, self.feasible, self.seed = strategy, feasible, seed
        self.distributions: dict[str, BaseDistribution] = {
            f"c{i}": CategoricalDistribution(choice.options) for i, choice in enumerate(feasible.space.choices)
        }
        self._generation = -1
        self._open: deque[Genome] = deque()
        self._taken: set[Genome] = set()
        self._next: Genome = ()

    def genome(self, trial: Trial | FrozenTrial) -> Genome:
        return tuple(trial.params[name] for name in self.distributions)

    def waiting(self, study: Study) -> int:
        """How many trials can be asked for now: the rest of the generation, all of whose trials must be told
        before the next one. 0 at the end.

        A new sampler on an old study first walks through what is there, which costs arithmetic only.
        """
        if self._generation < 0:
            self._taken |= {self.genome(trial) for trial in completed(study)}
            self._plan(study)
        while not self._open and len(self._taken) < self.most and self._plan(study):
            pass
        return len(self._open)

    @property
    def most(self) -> int:
        """How many candidates the search has in the end, at most."""
        planned = len(self._taken) + len(self._open) + self.strategy.most_after(self._generation)
        return planned if self.feasible.all is None else min(planned, len(self.feasible.all))

    def _plan(self, study: Study) -> bool:
        """Open the next generation; False when nobody can be a parent."""
        self._generation += 1
        # Optuna keeps the parents in the study, but not their order.
        parents = self.get_parent_population(study, self._generation)
        parents = sorted(parents, key=lambda trial: _rank(study, trial))
        if self._generation and not parents:
            return False
        proposed = self.strategy.propose(
            self._generation, self.feasible, [self.genome(trial) for trial in parents], self.seed
        )
        self._open.extend(genome for genome in dict.fromkeys(proposed) if genome not in self._taken)
        return True

    def select_parent(self, study: Study, generation: int) -> list[FrozenTrial]:
        """The best of the last generation and its own parents, nobody without a finite score."""
        last = generation - 1
        rivals = self.get_parent_population(study, last) + self.get_population(study, last)
        finite = [trial for trial in rivals if trial.value is not None and math.isfinite(trial.value)]
        return sorted(finite, key=lambda trial: _rank(study, trial))[: self.strategy.survivors]

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """The generation noted with a trial; for a new one that which is handed out now."""
        # Optuna's own rule, a fixed number of trials in each, does not hold: repeated genomes are no trials.
        noted = trial.system_attrs.get(self._get_generation_key())
        if noted is None:
            noted = self._generation
            study._storage.set_trial_system_attr(trial._trial_id, self._get_generation_key(), noted)
        return int(noted)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        # here and not when its parameters are drawn, which Optuna leaves out where no choice has two options
        self.get_trial_generation(study, trial)
        self._next = self._open.popleft()
        self._taken.add(self._next)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return dict(zip(self.distributions, self._next, strict=True))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise NotImplementedError(f"{param_name} is no choice of {self.feasible.space.name}")


def completed(study: Study) -> list[FrozenTrial]:
    """The scored trials, in the order in which they were asked for."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _rank(study: Study, trial: FrozenTrial) -> tuple[float, int]:
    """Smaller is better; of equals the one that was found first."""
    assert trial.value is not None
    return (trial.value if study.direction == StudyDirection.MINIMIZE else -trial.value), trial.number
