"""The candidates of a search as trials of an Optuna study, which any number of processes take and score."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import Genome

#: seconds without a sign of life after which a process is taken for dead and its trials are given to others
LEASE = 30.0
#: signs of life within that time
_BEATS = 6


class Asked(NamedTuple):
    """A candidate to be scored.

    Attributes:
        place: its number in the search.
        first: the first place of those that are offered with it; a race compares with the ones before.
    """

    place: int
    generation: int
    genome: Genome
    costs: Mapping[str, int]
    first: int


class Trials:
    """A study's trials, by the place of their candidates.

    Waiting ones are scored by whoever takes them first. Who works on one gives signs of life (`held`); in
    `standing` whoever leads the search fails those that have none, to add them once more. Clocks of different
    machines are never compared.
    """

    def __init__(self, study: Study, space: SearchSpace, lease: float = LEASE) -> None:
        self.study, self.lease = study, lease
        self.distributions: dict[str, BaseDistribution] = {
            f"c{i}": CategoricalDistribution(choice.options) for i, choice in enumerate(space.choices)
        }
        #: of running trials by number, the last sign of life and when it was first seen
        self._seen: dict[int, tuple[object, float]] = {}

    def genome(self, trial: FrozenTrial | Trial) -> Genome:
        return tuple(trial.params[name] for name in self.distributions)

    def add(self, candidates: Iterable[Asked]) -> None:
        """Offer candidates to whoever takes them."""
        for one in candidates:
            self.study.add_trial(
                create_trial(
                    state=TrialState.WAITING,
                    params=dict(zip(self.distributions, one.genome, strict=True)),
                    distributions=self.distributions,
                    user_attrs={
                        "place": one.place,
                        "generation": one.generation,
                        "costs": dict(one.costs),
                        "first": one.first,
                    },
                )
            )

    def take(self, most: int) -> list[Trial]:
        """Up to so many waiting trials, the first ones, which now are ours."""
        taken: list[Trial] = []
        while len(taken) < most and self.in_state(TrialState.WAITING):
            trial = self.study.ask()
            if "place" not in trial.user_attrs:  # others were quicker, and Optuna has made a new trial of nothing
                self._fail(trial.number)
                break
            taken.append(trial)
        return taken

    @contextmanager
    def held(self, taken: Sequence[Trial]) -> Iterator[None]:
        """Give signs of life of trials while the context lasts; when it fails, give the unfinished ones back."""
        over = threading.Event()

        def beat() -> None:
            beats = 0
            while not over.wait(self.lease / _BEATS):
                beats += 1
                for trial in taken:
                    with suppress(Exception):  # finished; or the storage is away, which is said when it is needed
                        trial.set_user_attr("beat", beats)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            with suppress(Exception):
                for trial in taken:
                    self._fail(trial.number)
            raise
        finally:
            over.set()
            thread.join()

    def finish(self, trial: Trial, scores: Mapping[str, float], objective: str, images: int | None) -> bool:
        """Write down what a trial's candidate has scored; False where it was given to somebody else meanwhile."""
        finite = {name: float(value) if math.isfinite(value) else None for name, value in scores.items()}
        value = finite[objective]
        if value is None:
            value = math.inf if self.study.direction == StudyDirection.MINIMIZE else -math.inf
        try:
            if images is not None:
                trial.set_user_attr("images", images)
            trial.set_user_attr("scores", finite)
            self.study.tell(trial, value)
        except (UpdateFinishedTrialError, ValueError):
            return False
        return True

    def in_state(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def scored(self) -> dict[int, FrozenTrial]:
        """The finished trials by place, in order."""
        found = {trial.user_attrs["place"]: trial for trial in reversed(self.in_state(TrialState.COMPLETE))}
        return dict(sorted(found.items()))

    def standing(self) -> set[int]:
        """The places that are finished, waiting, or in the work of somebody who is alive."""
        states = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
        found = self.in_state(*states)
        dead = [trial for trial in found if trial.state == TrialState.RUNNING and not self.lives(trial)]
        for trial in dead:
            self._fail(trial.number)
        return {trial.user_attrs["place"] for trial in found if trial not in dead and "place" in trial.user_attrs}

    def bury_all(self) -> None:
        """Whoever was at work is dead."""
        for trial in self.in_state(TrialState.RUNNING):
            self._fail(trial.number)

    def lives(self, trial: FrozenTrial) -> bool:
        """Whether who works on a running trial has given a sign of life since it was seen `lease` seconds ago."""
        beat, now = trial.user_attrs.get("beat"), time.monotonic()
        known, since = self._seen.get(trial.number, (None, now))
        if trial.number not in self._seen or known != beat:
            self._seen[trial.number], since = (beat, now), now
        return now - since < self.lease

    def _fail(self, number: int) -> None:
        with suppress(UpdateFinishedTrialError, ValueError):  # finished just now
            self.study.tell(number, state=TrialState.FAIL)
