"""The search: ask a strategy for genomes, have them scored, keep every result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from optuna.study import Study, StudyDirection
from optuna.trial import Trial

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import SpecError, unknown
from pocketgan.metrics.catalog import Better
from pocketgan.networks import Genome
from pocketgan.search.feasible import Feasible
from pocketgan.search.journal import open_study
from pocketgan.search.nsga2 import Nsga2
from pocketgan.search.racing import Racer
from pocketgan.search.result import Candidate, SearchResult
from pocketgan.search.sampler import GenerationSampler, completed
from pocketgan.search.strategy import Strategy

#: from genomes to their scores by name, in the same order; a score may be NaN or infinite
Score = Callable[[Sequence[Genome]], Sequence[Mapping[str, float]]]


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
    storage: Path,
    batch: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Score the genomes that the strategy proposes, each at most once and only within the budget.

    Every result is kept in the journal at `storage` as soon as `score` returns. The same call on the same
    file goes on where the last one ended, and its result is that of a search that was never interrupted.

    Args:
        score: a `Racer` stops candidates that fall behind: with a race the best alone counts, see `Race`.
        objective: the score to optimise; a candidate whose objective is not finite loses to every other.
        batch: how many genomes `score` is given at once, at most; they are lost together when the process is
            killed. Does not change the result.
        progress: called with the number of scored candidates and how many there will be at most.

    Raises:
        BudgetError: not even the smallest subnet fits.
        SpecError: the strategy does not suit the space or a race, or no candidate has a finite objective.
        OutputError: the journal belongs to another search.
    """
    race = score if isinstance(score, Racer) else None
    if race and isinstance(strategy, Nsga2):
        raise SpecError("a race finds one best network, and nsga2 looks for a front; leave the race out")
    feasible = Feasible(space, model, budget)
    sampler = GenerationSampler(strategy, feasible, seed)
    description = {
        "space": space.model_dump(mode="json"),
        "cost_of_the_largest_subnet": model.one(space.widths(space.largest)),
        "budget": budget.model_dump(mode="json"),
        "strategy": strategy.model_dump(mode="json"),
        "objective": [objective, better],
        "seed": seed,
        "race": race.race.model_dump(mode="json") if race else None,
    }
    with open_study(storage, sampler, better, description) as study:
        done = len(completed(study))
        if race:
            race.resume(
                (sampler.genome(one), one.values[0]) for one in completed(study) if one.user_attrs["images"] is None
            )
        while waiting := sampler.waiting(study):
            trials = [study.ask(sampler.distributions) for _ in range(min(batch, waiting))]
            genomes = [sampler.genome(trial) for trial in trials]
            costs = feasible.costs(genomes)
            for i, (trial, scores) in enumerate(zip(trials, score(genomes), strict=True)):
                trial.set_user_attr("costs", costs.at(i))
                trial.set_user_attr("images", race.stopped.get(genomes[i]) if race else None)
                _tell(study, trial, scores, objective)
                done += 1
                if progress:
                    progress(done, sampler.most)
        candidates = tuple(
            Candidate(
                genome=sampler.genome(trial),
                generation=sampler.generation(trial),
                costs=trial.user_attrs["costs"],
                scores=trial.user_attrs["scores"],
                images=trial.user_attrs.get("images"),
            )
            for trial in completed(study)
        )
    if not any(candidate.scores[objective] is not None for candidate in candidates if candidate.images is None):
        raise SpecError(
            f"none of {len(candidates)} candidates has a finite {objective}; "
            "check that the supernet is trained and that its outputs are finite"
        )
    return SearchResult(objective=objective, better=better, candidates=candidates)


def _tell(study: Study, trial: Trial, scores: Mapping[str, float], objective: str) -> None:
    if objective not in scores:
        raise unknown("score", objective, scores)
    finite = {name: float(value) if math.isfinite(value) else None for name, value in scores.items()}
    value = finite[objective]
    if value is None:
        value = math.inf if study.direction == StudyDirection.MINIMIZE else -math.inf
    trial.set_user_attr("scores", finite)
    study.tell(trial, value)
