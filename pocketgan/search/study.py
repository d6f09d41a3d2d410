"""The search: ask a strategy for genomes, have them scored by whoever is there, keep every result."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import OutputError, SpecError, note, unknown
from pocketgan.metrics.catalog import Better
from pocketgan.networks import Genome
from pocketgan.search.feasible import Feasible
from pocketgan.search.journal import Gone
from pocketgan.search.nsga2 import Nsga2
from pocketgan.search.racing import Racer
from pocketgan.search.result import Candidate, SearchResult
from pocketgan.search.storage import Place, joined, opened
from pocketgan.search.strategy import Scored, Strategy
from pocketgan.search.trials import LEASE, Asked, Trials

#: from genomes to their scores by name, in the same order; a score may be NaN or infinite
Score = Callable[[Sequence[Genome]], Sequence[Mapping[str, float]]]

#: candidates that are offered at once, at most
AHEAD = 1000
#: seconds between two looks at what others do: the first ones, and at most
SOON, LATER = 0.02, 1.0
#: seconds after which a worker leaves a search that nobody goes on with
IDLE = 600.0


def search(
    space: SearchSpace,
    model: CostModel,
    budget: Budget,
    strategy: Strategy,
    score: Score | Racer,
    *,
    objective: str,
    better: Better,
    seed: int,
    storage: Place | Path,
    batch: int = 1,
    lease: float = LEASE,
    progress: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Score the genomes that the strategy proposes, each at most once and only within the budget.

    Every result is kept at `storage` as soon as `score` returns. The same call on the same storage goes on where
    the last one ended, and its result is that of a search that was never interrupted. Other processes may help by
    `work`; how many there are, and which of them dies, does not change the result either.

    Args:
        score: a `Racer` stops candidates that fall behind: with a race the best alone counts, see `Race`.
        objective: the score to optimise; a candidate whose objective is not finite loses to every other.
        storage: a path is a journal file.
        batch: how many genomes `score` is given at once, at most; they are lost together when the process is
            killed. Does not change the result.
        lease: seconds without a sign of life after which the candidates of a worker are given to others.
        progress: called with the number of scored candidates and how many there will be at most.

    Raises:
        BudgetError: not even the smallest subnet fits.
        SpecError: the strategy does not suit the space or a race, or no candidate has a finite objective.
        OutputError: the storage holds another search, is in use, or does not answer.
    """
    race = score.race if isinstance(score, Racer) else None
    if race and isinstance(strategy, Nsga2):
        raise SpecError("a race finds one best network, and nsga2 looks for a front; leave the race out")
    feasible = Feasible(space, model, budget)
    place = storage if isinstance(storage, Place) else Place(storage)
    description = _description(space, model, budget, strategy, score, objective, better, seed)
    result, found = SearchResult(objective=objective, better=better, candidates=()), list[Candidate]()
    with opened(place, better, description) as study:
        trials = Trials(study, space, lease)
        if place.journal and not study.user_attrs.get("joined"):
            trials.bury_all()  # nobody but the one process that owns the journal has ever worked there
        leader = _Leader(trials, feasible, partial(_score, trials, score, batch, objective), progress)
        course, told = strategy.course(feasible, seed), None
        for generation in itertools.count():
            try:
                proposed = next(course) if told is None else course.send(told)
            except StopIteration:
                break  # there is nothing to go on from
            known = {one.genome for one in found}
            fresh = [genome for genome in dict.fromkeys(proposed) if genome not in known]
            planned = len(found) + len(fresh) + strategy.most_after(generation)
            leader.most = planned if feasible.all is None else min(planned, len(feasible.all))
            together, new = race.together if race else len(fresh), list[Candidate]()
            for start in range(0, len(fresh), max(1, together)):
                new += leader.scored(fresh[start : start + together], generation, len(found) + start)
            found += new
            told = [Scored(one.genome, result.loss(one), one.costs) for one in new]
            if len(found) >= leader.most:
                break
        study.set_user_attr("over", True)
    if not any(one.scores[objective] is not None for one in found if one.images is None):
        raise SpecError(
            f"none of {len(found)} candidates has a finite {objective}; "
            "check that the supernet is trained and that its outputs are finite"
        )
    return result.model_copy(update={"candidates": tuple(found)})


def work(
    space: SearchSpace,
    model: CostModel,
    budget: Budget,
    strategy: Strategy,
    score: Score | Racer,
    *,
    objective: str,
    better: Better,
    seed: int,
    storage: Place | Path,
    batch: int = 1,
    lease: float = LEASE,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Help with a search that another process leads by the same arguments: score what it offers until it is over.

    Args:
        progress: called with how many candidates this process has scored.

    Returns how many these were. Raises `SpecError` where no such search is at `storage`, `OutputError` where that
    does not answer.
    """
    place = storage if isinstance(storage, Place) else Place(storage)
    description = _description(space, model, budget, strategy, score, objective, better, seed)
    done, pause = 0, SOON

    def tell() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done)

    with joined(place, description) as study, suppress(Gone):
        study.set_user_attr("joined", True)
        trials = Trials(study, space, lease)
        since = time.monotonic()
        while True:
            if _score(trials, score, batch, objective, tell):
                pause, since = SOON, time.monotonic()
                continue
            if study.user_attrs.get("over"):
                break
            if any(map(trials.lives, trials.in_state(TrialState.RUNNING))):
                since = time.monotonic()
            elif time.monotonic() - since > IDLE:
                note(
                    f"nobody has gone on with the search in {place} for {IDLE / 60:.0f} minutes; this worker leaves"
                )
                break
            time.sleep(pause)
            pause = min(2 * pause, LATER)
    return done


class _Leader:
    """Has the candidates of a search scored, by this process and by whoever helps.

    There is one at a time: where another run begins to lead the same search on a server, the first one stops.

    Attributes:
        most: how many candidates there will be, at most.
    """

    def __init__(
        self,
        trials: Trials,
        feasible: Feasible,
        score: Callable[[Callable[[], None]], int],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.trials, self.feasible, self.score, self.progress = trials, feasible, score, progress
        self.most, self.done = 0, len(trials.scored())
        self.name = uuid.uuid4().hex
        trials.study.set_user_attr("run", self.name)
        trials.study.set_user_attr("over", False)

    def scored(self, genomes: Sequence[Genome], generation: int, first: int) -> list[Candidate]:
        """The candidates of these genomes, whose places in the search begin with `first`."""
        costs = self.feasible.costs(genomes)
        asked = [Asked(first + i, generation, genome, costs.at(i), first) for i, genome in enumerate(genomes)]
        pause = SOON
        while True:
            standing = self.trials.standing()
            if self.trials.study.user_attrs["run"] != self.name:
                raise OutputError("another run has begun to lead this search; this one stops")
            self.trials.add([one for one in asked if one.place not in standing][:AHEAD])
            while self.score(lambda: self._tell(self.done + 1)):
                pause = SOON
            found = self.trials.scored()
            self._tell(len(found))
            if all(one.place in found for one in asked):
                return [self._candidate(one, found[one.place]) for one in asked]
            time.sleep(pause)
            pause = min(2 * pause, LATER)

    def _tell(self, done: int) -> None:
        if done > self.done:
            self.done = done
            if self.progress:
                self.progress(done, self.most)

    def _candidate(self, asked: Asked, trial: FrozenTrial) -> Candidate:
        if self.trials.genome(trial) != asked.genome:
            raise OutputError(
                "what is kept of this search is of another version; remove it, or choose another folder"
            )
        return Candidate(
            genome=asked.genome,
            generation=asked.generation,
            costs=dict(asked.costs),
            scores=trial.user_attrs["scores"],
            images=trial.user_attrs.get("images"),
        )


def _score(trials: Trials, score: Score | Racer, batch: int, objective: str, tell: Callable[[], None]) -> int:
    """Score up to `batch` of the candidates that wait; returns how many these were."""
    taken = trials.take(batch)
    if not taken:
        return 0
    race = score if isinstance(score, Racer) else None
    genomes = [trials.genome(trial) for trial in taken]
    with trials.held(taken):
        if race:
            # decided by what stands before the round, whoever has scored how much of it by now
            before = [one for place, one in trials.scored().items() if place < taken[0].user_attrs["first"]]
            race.follow((trials.genome(one), one.values[0]) for one in before if "images" not in one.user_attrs)
        for trial, scores in zip(taken, score(genomes), strict=True):
            if objective not in scores:
                raise unknown("score", objective, scores)
            images = race.stopped.get(trials.genome(trial)) if race else None
            if trials.finish(trial, scores, objective, images):
                tell()
    return len(taken)


def _description(
    space: SearchSpace,
    model: CostModel,
    budget: Budget,
    strategy: Strategy,
    score: Score | Racer,
    objective: str,
    better: Better,
    seed: int,
) -> dict[str, Any]:
    """All that the results depend on, as JSON."""
    return {
        "space": space.model_dump(mode="json"),
        "cost_of_the_largest_subnet": model.one(space.widths(space.largest)),
        "budget": budget.model_dump(mode="json"),
        "strategy": strategy.model_dump(mode="json"),
        "objective": [objective, better],
        "seed": seed,
        "race": score.race.model_dump(mode="json") if isinstance(score, Racer) else None,
    }
