"""Which of the subnets that a latency model lets pass is really within the bound: the best ones are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median

from pydantic import BaseModel, ConfigDict

from pocketgan.networks import Genome

#: subnets that are measured side by side, and at most
TOGETHER, MOST = 4, 16
#: shares of the bound: from here on a subnet fills it; and up to there a prediction may be too high
FULL, NEAR = 0.9, 1.25


class Settled(BaseModel):
    """The subnet that was chosen.

    Attributes:
        asked_ms: the bound on its latency.
        predicted_ms: what the latency model says of it.
        measured_ms: the median of one image, as if the machine were as quiet as when the model was measured.
        measured: how many subnets were measured until it was found.
        factor: measured milliseconds over predicted ones, in the median of these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    genome: Genome
    asked_ms: float
    predicted_ms: float
    measured_ms: float
    measured: int
    factor: float


def settled(
    best_first: Sequence[Genome],
    predicted: Mapping[Genome, float],
    bound: float,
    measure: Callable[[Sequence[Genome]], Sequence[float]],
) -> Settled:
    """The first of these subnets that is measured within the bound.

    `TOGETHER` are measured at a time, until one of them is within it: the first ones of which that is predicted,
    with the predictions corrected by what was measured. What is within it is measured once more, and is so still in
    the mean: of several near the bound, one is always measured as too quick. Where it leaves more than a tenth of
    the bound, those of better scores go on to be measured, the quickest first. Where `MOST` are not within it, it
    is the quickest of them.

    Args:
        best_first: by their scores; at least one.
        predicted: milliseconds of each.
        measure: from subnets to their milliseconds.
    """
    found: dict[Genome, list[float]] = {}
    factor = 1.0

    def inside() -> list[Genome]:
        return [genome for genome in best_first if genome in found and fmean(found[genome]) <= bound]

    within: list[Genome] = []
    while len(found) < MOST:
        better = best_first[: best_first.index(within[0])] if within else best_first
        left = [genome for genome in better if genome not in found]
        promising = [genome for genome in left if predicted[genome] * factor <= bound]
        # where none is within it by the corrected model, the quickest ones show whether that is so
        taken = (promising or sorted(left, key=predicted.__getitem__))[:TOGETHER]
        if within:
            taken = [genome for genome in taken if predicted[genome] * factor <= NEAR * bound]
        if not taken:
            break
        found |= {genome: [ms] for genome, ms in zip(taken, measure(taken), strict=True)}
        factor = median(times[0] / predicted[genome] for genome, times in found.items())
        while (within := inside()) and len(found[within[0]]) == 1:
            found[within[0]] += measure(within[:1])
        if within and fmean(found[within[0]]) >= FULL * bound:
            break
    chosen = within[0] if within else min(found, key=lambda genome: fmean(found[genome]))
    return Settled(
        genome=chosen,
        asked_ms=bound,
        predicted_ms=predicted[chosen],
        measured_ms=fmean(found[chosen]),
        measured=len(found),
        factor=factor,
    )
