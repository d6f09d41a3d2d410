"""A strategy as a sampler of Optuna: each trial gets the next genome of the generation."""

from __future__ import annotations

from collections import deque
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from pocketgan.networks import Genome
from pocketgan.search.feasible import Feasible
from pocketgan.search.strategy import Scored, Strategy

#: where a trial's generation is noted, as Optuna's own genetic samplers name it
_GENERATION = "GenerationSampler:generation"


class GenerationSampler(BaseSampler):
    """Hands out the genomes of a strategy, generation by generation, without those that were scored before.

    A genome is the categorical parameters c0, c1, ... Call `waiting` before asking for trials.
    """

    def __init__(self, strategy: Strategy, feasible: Feasible, seed: int) -> None:
        self.strategy, self.feasible = strategy, feasible
        self.distributions: dict[str, BaseDistribution] = {
            f"c{i}": CategoricalDistribution(choice.options) for i, choice in enumerate(feasible.space.choices)
        }
        self._course = strategy.course(feasible, seed)
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
        """Open the next generation; False when the strategy has nothing to go on from."""
        try:
            if self._generation < 0:
                proposed = next(self._course)
            else:
                proposed = self._course.send(self._scored(study))
        except StopIteration:
            return False
        self._generation += 1
        self._open.extend(genome for genome in dict.fromkeys(proposed) if genome not in self._taken)
        return True

    def _scored(self, study: Study) -> list[Scored]:
        """What this generation brought."""
        sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
        return [
            Scored(self.genome(trial), sign * trial.values[0], trial.user_attrs["costs"])
            for trial in completed(study)
            if self.generation(trial) == self._generation
        ]

    def generation(self, trial: FrozenTrial) -> int:
        """The generation that a trial belongs to."""
        return int(trial.system_attrs[_GENERATION])

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        # here and not when its parameters are drawn, which Optuna leaves out where no choice has two options
        study._storage.set_trial_system_attr(trial._trial_id, _GENERATION, self._generation)
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
