"""Milliseconds from arithmetic: a latency model says how long a network takes by the work that it does.

A network's time is taken for a sum: of each kind of work (see `cost.WORK`) so much, times what a unit of it takes
on one runtime of one machine. The units are found from networks that were measured, by least squares of the
relative error; none is negative, so that more work never takes less time, which the search rests on.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict

from pocketgan.elastic.cost import WORK


class LatencyModel(BaseModel):
    """Predicts milliseconds of an image.

    Attributes:
        coefficients: milliseconds of a unit of each kind of `cost.WORK`.
        error: the mean relative error, without sign, for networks that the fit has not seen (each in turn left
            out of it); `worst`, the largest of these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coefficients: dict[str, float]
    error: float
    worst: float

    def __call__(self, work: Float[np.ndarray, "n work"]) -> Float[np.ndarray, " n"]:
        """Milliseconds of n networks from their work."""
        return work @ np.array([self.coefficients[name] for name in WORK])

    @classmethod
    def fit(cls, work: Float[np.ndarray, "n work"], ms: Float[np.ndarray, " n"]) -> LatencyModel:
        """The model of networks that were measured, from their work and their milliseconds, all above 0."""
        errors = _left_out(work, ms)
        coefficients = dict(zip(WORK, _fitted(work, ms).tolist(), strict=True))
        return cls(coefficients=coefficients, error=float(errors.mean()), worst=float(errors.max()))


def _fitted(work: Float[np.ndarray, "n work"], ms: Float[np.ndarray, " n"]) -> Float[np.ndarray, " work"]:
    scale = work.max(axis=0)
    scale[scale == 0] = 1
    return non_negative(work / scale / ms[:, None], np.ones(len(ms))) / scale


def _left_out(work: Float[np.ndarray, "n work"], ms: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The relative error for each network by a fit without it; 0 of one alone."""
    if len(ms) < 2:
        return np.zeros(len(ms))
    others = ~np.eye(len(ms), dtype=bool)
    told = [own @ _fitted(work[rest], ms[rest]) for own, rest in zip(work, others, strict=True)]
    return np.abs(np.array(told) / ms - 1)


def non_negative(a: Float[np.ndarray, "m n"], b: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """The x without negative numbers for which |a x - b| is least.

    Source: Lawson & Hanson 1974, Solving least squares problems, algorithm NNLS.
    """
    x = np.zeros(a.shape[1])
    free = np.zeros(len(x), dtype=bool)
    for _ in range(10 * len(x)):
        slope = a.T @ (b - a @ x)
        if free.all() or slope[~free].max() <= 1e-10:
            break
        free[np.argmax(np.where(free, -np.inf, slope))] = True
        while (wanted := _least(a, b, free))[free].min() <= 0:
            falling = free & (wanted <= 0)
            step = (x[falling] / (x[falling] - wanted[falling])).min()
            x += step * (wanted - x)
            free &= x > 1e-12
            x[~free] = 0
            if not free.any():
                wanted = np.zeros_like(x)
                break
        x = wanted
    return x


def _least(
    a: Float[np.ndarray, "m n"], b: Float[np.ndarray, " m"], free: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """The least squares with all numbers 0 but those that are free."""
    x = np.zeros(a.shape[1])
    x[free] = np.linalg.lstsq(a[:, free], b, rcond=None)[0]
    return x
