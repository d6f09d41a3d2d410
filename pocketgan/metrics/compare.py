"""Is one result really better than another, or is the difference noise?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pocketgan.errors import SpecError
from pocketgan.metrics.bootstrap import resample_differences
from pocketgan.metrics.catalog import METRICS
from pocketgan.metrics.evaluation import Evaluation
from pocketgan.seeds import derive_seed

#: images below which a distance between sets decides nothing
FEW = 100


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One metric of two results.

    Attributes:
        first, second: the scores.
        difference: second less first.
        interval: 95 %, by a paired bootstrap: both results see the same drawn images.
        share: twice the share of draws on the other side of 0, at most 1: how easily chance does as much.
        verdict: "real" where the interval leaves 0 out, else "noise"; "withheld" where the images are too few to
            tell (see `decides`).
        better: which result is better, where the difference is real.
    """

    metric: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    share: float
    verdict: Literal["real", "noise", "withheld"]
    better: Literal["first", "second"] | None


def decides(metric: str, images: int) -> bool:
    """Whether so many images suffice for a verdict by a metric: a distance between sets needs `FEW`.

    Below that it says more of how much the pictures vary than of how near they come to the real ones: by how much
    it is too high differs between networks, which no interval shows. More images make that smaller, and end it only
    where they are many more than the features. What compares image by image has no such bias.
    """
    return metric not in METRICS or METRICS[metric].encoder is None or images >= FEW


def compare(first: Evaluation, second: Evaluation, seed: int = 0) -> list[Difference]:
    """The differences of every metric that both have and computed alike (see `unlike` for the others).

    Raises SpecError where the results are under different protocols, on other images, or have no such metric.
    """
    check_alike(first, second)
    left_out = unlike(first, second)
    common = [name for name in first.scores if name in second.scores and name not in left_out]
    if not common:
        raise SpecError(
            f"the results have no metric in common that was computed alike ({', '.join(first.scores)}; "
            f"{', '.join(second.scores)}); evaluate both with the same --metrics, weights and teacher"
        )
    drawn = resample_differences(
        {name: first.contributions[name] for name in common},
        {name: second.contributions[name] for name in common},
        derive_seed(seed, "comparison"),
    )
    return [_difference(name, first, second, drawn[name].interval, drawn[name].values) for name in common]


def unlike(first: Evaluation, second: Evaluation) -> list[str]:
    """Metrics that both have, but with other settings, weights or teachers."""
    return [
        name
        for name in first.scores
        if name in second.scores and first.settings.get(name) != second.settings.get(name)
    ]


def check_alike(first: Evaluation, second: Evaluation) -> None:
    """Raises SpecError unless both have the same protocol, the same images and what resampling needs."""
    if first.protocol != second.protocol:
        raise SpecError(
            f"results compare only under one protocol, and these are {first.protocol} and {second.protocol}; "
            "evaluate one of them again under the other's"
        )
    for side in ("sources", "targets"):
        a, b = (result.images.get(side) for result in (first, second))
        if a != b:
            counts = " and ".join(str(len(each.names)) if each else "none" for each in (a, b))
            raise SpecError(
                f"results compare only on the same images, and their {side} differ ({counts} images, by names and "
                "pixels); evaluate one of them again on the other's data and size"
            )
    for result in (first, second):
        if not result.contributions.keys() >= result.scores.keys():
            raise SpecError("a result without intervals cannot be compared; evaluate it again with intervals")


def _difference(
    metric: str, a: Evaluation, b: Evaluation, interval: tuple[float, float], values: np.ndarray
) -> Difference:
    first, second = a.scores[metric], b.scores[metric]
    decided = decides(metric, len(a.names))
    real = decided and (interval[0] > 0 or interval[1] < 0)
    difference = 0.0 if first == second else second - first
    smaller: Literal["first", "second"] = "first" if difference > 0 else "second"
    larger: Literal["first", "second"] = "second" if difference > 0 else "first"
    return Difference(
        metric=metric,
        first=first,
        second=second,
        difference=difference,
        interval=interval,
        share=float(min(1.0, 2 * min((values <= 0).mean(), (values >= 0).mean()))),
        verdict="real" if real else "noise" if decided else "withheld",
        better=(smaller if METRICS[metric].better == "lower" else larger) if real else None,
    )
