"""How sure a figure is: resampling what each image contributes to it.

Every figure is written as a mean over images. For L1 and its like that is what it is. A distance between sets of
features is linearised: each image contributes the distance plus its influence, the derivative of the distance by
the image's weight. Resampling these means needs neither networks nor features, costs nothing, and has none of the
upward shift that drawing images twice brings to a Fréchet distance, whose expectation depends on how many differ.
The interval is thus one of the distance that as many other images would show on average; it says nothing of the
bias of a Fréchet distance of few images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 10, 13 and 21 (influence);
Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8 (two levels).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pocketgan.seeds import derive_seed

RESAMPLES = 1000
CONFIDENCE = 0.95

#: drawn images that are held at a time
BLOCK = 1 << 20


class Figure(NamedTuple):
    """A figure of a set of generated images, with the influence of each image on it.

    An influence has mean 0 over its set; ``real`` is None where the figure has no set of real images to draw from.
    """

    value: float
    generated: Float[np.ndarray, " images"]
    real: Float[np.ndarray, " reals"] | None = None


@dataclass(frozen=True, eq=False)
class Contributions:
    """What the images contribute to one figure of one or several models.

    Attributes:
        generated: a row a model, a column an image (or a pair of images); the mean of a row is that model's figure.
        real: where real images were drawn independently of the generated ones, their influences, likewise in rows.
    """

    generated: Float[np.ndarray, "models images"]
    real: Float[np.ndarray, "models reals"] | None = None

    @classmethod
    def of(cls, figure: Figure, paired: bool) -> "Contributions":
        """Of one model. In ``paired`` sets a generated image and the real one of its place are drawn together."""
        generated = figure.value + figure.generated
        if figure.real is None:
            return cls(generated[None])
        return cls((generated + figure.real)[None]) if paired else cls(generated[None], figure.real[None])

    @property
    def value(self) -> float:
        """The figure: the mean over models and images."""
        return float(self.generated.mean())


class Resampled(NamedTuple):
    """A bootstrap's outcome: the 95 % interval, and every resampled value."""

    interval: tuple[float, float]
    values: Float[np.ndarray, " resamples"]

    @property
    def error(self) -> float:
        """The standard error; 0 where the figure is infinite."""
        return float(self.values.std()) if np.isfinite(self.values).all() else 0.0


def resample(figures: Mapping[str, Contributions], seed: int) -> dict[str, Resampled]:
    """Percentile intervals of figures of the same models and images: every figure sees the same draws.

    Several models are drawn with replacement first, then images.
    """
    values = _draw([*figures.values()], seed, "first")
    return {name: Resampled(_ends(each), each) for name, each in zip(figures, values, strict=True)}


def resample_differences(
    first: Mapping[str, Contributions], second: Mapping[str, Contributions], seed: int
) -> dict[str, Resampled]:
    """Percentile intervals of ``second`` less ``first``, both drawn on the same images: a paired bootstrap.

    The models of the two sides are drawn independently. Equal infinities differ by 0.
    """
    a = _draw([*first.values()], seed, "first")
    b = _draw([second[name] for name in first], seed, "second")
    with np.errstate(invalid="ignore"):
        differences = np.where(a == b, 0.0, b - a)
    return {name: Resampled(_ends(each), each) for name, each in zip(first, differences, strict=True)}


def _draw(figures: Sequence[Contributions], seed: int, models_of: str) -> Float[np.ndarray, "figures resamples"]:
    """The resampled values. What is drawn depends only on the seed and the number of images (models: and whose)."""
    values = np.zeros((len(figures), RESAMPLES))
    for side in ("generated", "real"):
        rows = {place: getattr(figure, side) for place, figure in enumerate(figures)}
        rows = {place: _spread(each) for place, each in rows.items() if each is not None}
        for models, images in sorted({each.shape for each in rows.values()}):
            places = [place for place, each in rows.items() if each.shape == (models, images)]
            random = np.random.default_rng(derive_seed(seed, side, images))
            means = _means(np.concatenate([rows[place] for place in places]), random)
            random = np.random.default_rng(derive_seed(seed, "models", models_of, models))
            times = random.multinomial(models, np.full(models, 1 / models), RESAMPLES)
            drawn = np.repeat(times.T[None] > 0, len(places), 0)
            parts = np.where(drawn, means.reshape(len(places), models, RESAMPLES), 0) * (times.T / models)
            values[places] += parts.sum(1)
    return values


def _spread(rows: Float[np.ndarray, "models images"]) -> Float[np.ndarray, "models images"]:
    """Rows whose means lie apart as n - 1 of n models do on average: else few models would look too alike."""
    means = rows.mean(1, keepdims=True)
    if len(rows) == 1 or not np.isfinite(means).all():
        return rows
    return rows + (means - means.mean()) * ((len(rows) / (len(rows) - 1)) ** 0.5 - 1)


def _means(
    rows: Float[np.ndarray, "rows images"], random: np.random.Generator
) -> Float[np.ndarray, "rows resamples"]:
    """The mean of every row over the same drawn images; infinite where an infinite value is among the drawn."""
    images, infinite = rows.shape[1], np.isinf(rows)
    finite, means = np.where(infinite, 0, rows), np.empty((len(rows), RESAMPLES))
    block = max(1, BLOCK // images)
    for start in range(0, RESAMPLES, block):
        some = slice(start, min(start + block, RESAMPLES))
        rounds = np.arange(some.stop - start)[:, None]
        drawn = random.integers(images, size=(len(rounds), images)) + rounds * images
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).T
        means[:, some] = np.where(infinite @ times > 0, np.inf, finite @ times / images)
    return means


def _ends(values: Float[np.ndarray, " resamples"]) -> tuple[float, float]:
    # "nearest" never subtracts, so that an infinite PSNR stays infinite
    low, high = np.quantile(values, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2), method="nearest")
    return float(low), float(high)
