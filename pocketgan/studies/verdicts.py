"""Was a paper's ordering seen? The difference of two series, its interval, and in how many seeds the order held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pocketgan.metrics import METRICS, Evaluation, compare
from pocketgan.metrics.bootstrap import Contributions, resample, resample_differences
from pocketgan.report.study import Curve, CurveMember, Verdict, outcome_of
from pocketgan.studies.study import Claim


def verdicts(claims: Sequence[Claim], pooled: Mapping[tuple[str, str], Evaluation]) -> tuple[Verdict, ...]:
    """One for each claim, place and metric.

    Args:
        pooled: by series and place, the evaluations of all seeds as one; the difference of two is bootstrapped over
            the same images for both, and over the models of each.
    """
    found = []
    for claim, place in _cases(claims, pooled):
        better, worse = pooled[claim.better, place], pooled[claim.worse, place]
        for each in compare(worse, better):
            found.append(
                _verdict(
                    claim,
                    place,
                    each.metric,
                    each.difference,
                    each.interval,
                    [m[each.metric] for m in better.members],
                    [m[each.metric] for m in worse.members],
                )
            )
    return tuple(found)


def curve_verdicts(claims: Sequence[Claim], metric: str, curves: Sequence[Curve]) -> tuple[Verdict, ...]:
    """One for each claim and place: of the best scores at the end of the searches, over the seeds."""
    ends = {(each.series, each.place): [member.best[-1] for member in each.members] for each in curves}
    found = []
    for claim, place in _cases(claims, ends):
        better, worse = ends[claim.better, place], ends[claim.worse, place]
        drawn = resample_differences({metric: _models(worse)}, {metric: _models(better)}, seed=0)[metric]
        difference = float(np.mean(better) - np.mean(worse))
        found.append(_verdict(claim, place, metric, difference, drawn.interval, better, worse))
    return tuple(found)


def curve_of(series: str, place: str, members: tuple[CurveMember, ...], *, exhaustive: bool = False) -> Curve:
    """The mean of searches and its intervals; a search that ended early keeps its best score."""
    length = max(len(member.best) for member in members)
    rows = np.array([[*member.best, *[member.best[-1]] * (length - len(member.best))] for member in members])
    drawn = resample({str(step): _models(rows[:, step]) for step in range(length)}, seed=0)
    return Curve(
        series=series,
        place=place,
        mean=tuple(rows.mean(0).tolist()),
        intervals=tuple(drawn[str(step)].interval for step in range(length)),
        members=members,
        exhaustive=exhaustive,
    )


def _cases(claims: Sequence[Claim], found: Mapping[tuple[str, str], object]) -> Iterator[tuple[Claim, str]]:
    """Every claim at every place of its own where both series are."""
    for claim in claims:
        for series, place in found:
            if series == claim.better and (claim.worse, place) in found and place in (claim.places or (place,)):
                yield claim, place


def _models(values: Sequence[float] | np.ndarray) -> Contributions:
    """Figures of several models that no images stand behind."""
    return Contributions(np.asarray(values, dtype=float)[:, None])


def _verdict(
    claim: Claim,
    place: str,
    metric: str,
    difference: float,
    interval: tuple[float, float],
    better: Sequence[float],
    worse: Sequence[float],
) -> Verdict:
    direction = METRICS[metric].better
    pairs = list(zip(better, worse, strict=True))
    return Verdict(
        better=claim.better,
        worse=claim.worse,
        place=place,
        metric=metric,
        difference=difference,
        interval=interval,
        outcome=outcome_of(interval, direction),
        seeds_for=sum(first < second if direction == "lower" else first > second for first, second in pairs),
        seeds=len(pairs),
    )
