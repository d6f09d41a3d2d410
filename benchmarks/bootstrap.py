"""How often the 95 % intervals of an evaluation hold what they promise, on made-up data whose truth is known.

Every row is a figure at a number of images. `covers` is the share of trials whose interval holds `truth`: the mean
of the population, the distance of the populations in closed form, or the distance that as many images show on
average (the mean over the trials). Features are Gaussian with variances that fall as k^-1.1 over the dimensions, as
those of MobileNetV2 do on photographs. A Fréchet interval is meant for the distance at its number of images; rows
against the populations show what its bias does to such a reading, and how far extrapolation mends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import measure
import numpy as np
import torch

from pocketgan.metrics.bootstrap import Contributions, resample, resample_differences
from pocketgan.metrics.frechet import extrapolated, frechet
from pocketgan.metrics.kernel import kernel_distance
from pocketgan.seeds import derive_seed


class Trial(NamedTuple):
    """One estimate with its interval."""

    value: float
    low: float
    high: float


def interval(figures: Contributions, seed: int) -> Trial:
    low, high = resample({"figure": figures}, seed)["figure"].interval
    return Trial(figures.value, low, high)


def mean_of_skewed(images: int) -> Callable[[np.random.Generator, int], list[Trial]]:
    """The mean of per-image errors that are log-normal."""

    def trial(random: np.random.Generator, seed: int) -> list[Trial]:
        return [interval(Contributions(random.lognormal(0, 0.5, (1, images))), seed)]

    return trial


def mean_over_models(models: int, images: int) -> Callable[[np.random.Generator, int], list[Trial]]:
    """The mean over models that differ by 0.1, on images that differ by 1."""

    def trial(random: np.random.Generator, seed: int) -> list[Trial]:
        values = random.normal(0, 1, (1, images)) + random.normal(0, 0.1, (models, 1))
        return [interval(Contributions(values), seed)]

    return trial


def equal_models(images: int) -> Callable[[np.random.Generator, int], list[Trial]]:
    """The difference of two models whose errors differ by chance alone, on the same images."""

    def trial(random: np.random.Generator, seed: int) -> list[Trial]:
        image = random.lognormal(0, 0.5, (1, images))
        a, b = (Contributions(image + random.normal(0, 0.1, (1, images))) for _ in range(2))
        low, high = resample_differences({"figure": a}, {"figure": b}, seed)["figure"].interval
        return [Trial(b.value - a.value, low, high)]

    return trial


class Populations(NamedTuple):
    """Two Gaussians about 0 with diagonal covariances, and their distances."""

    first: torch.Tensor
    second: torch.Tensor

    @classmethod
    def of(cls, dimensions: int) -> Populations:
        spread = torch.arange(1, dimensions + 1, dtype=torch.float64) ** -0.55
        signs = torch.tensor(np.sign(np.sin(1.7 * np.arange(1, dimensions + 1))))
        return cls(spread * (1 + 0.3 * signs), spread)

    @property
    def frechet(self) -> float:
        return float((self.first - self.second).square().sum())

    @property
    def kernel(self) -> float:
        """Of the kernel (x·y / d + 1)³: only its square has an expectation that the covariances change."""
        gap = self.first.square() - self.second.square()
        return float(3 * gap.square().sum() / len(gap) ** 2)

    def draw(self, images: int, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.from_numpy(random.standard_normal((2, images, len(self.first))))
        return noise[0] * self.first, noise[1] * self.second


def distances(populations: Populations, images: int, infinity: bool) -> Callable[..., list[Trial]]:
    """Fréchet distance, kernel distance and, if asked for, the extrapolated Fréchet distance."""

    def trial(random: np.random.Generator, seed: int) -> list[Trial]:
        x, y = populations.draw(images, random)
        found = [frechet(x, y), kernel_distance(x, y)]
        if infinity:
            found.append(extrapolated(x, y, paired=False, random=random))
        return [interval(Contributions.of(each, paired=False), seed) for each in found]

    return trial


def covered(trials: list[Trial], truth: float) -> float:
    return float(np.mean([low <= truth <= high for _, low, high in trials]))


def main() -> None:
    chosen = measure.options(__doc__, turns=200, threads=1)
    rows = []

    def run(
        what: str, images: int, trial: Callable[..., list[Trial]], truths: list[list[tuple[str, float | None]]]
    ):
        """truths: for each figure of a trial, what its interval is held against (None: the mean over trials)."""
        random = np.random.default_rng(derive_seed(0, what, images))
        trials = [trial(random, derive_seed(1, what, images, number)) for number in range(chosen.turns)]
        for figures, against in zip(zip(*trials, strict=True), truths, strict=True):
            mean = float(np.mean([each.value for each in figures]))
            for name, truth in against:
                truth = mean if truth is None else truth
                row = {"what": name.format(what), "images": images, "covers": covered(list(figures), truth)}
                rows.append(row | {"truth": measure.figure(truth), "mean_estimate": measure.figure(mean)})

    for images in (20, 131) if chosen.quick else (20, 50, 131, 1000):
        run("mean of skewed errors", images, mean_of_skewed(images), [[("{}", float(np.exp(0.125)))]])
        run("difference of equal models", images, equal_models(images), [[("{}", 0.0)]])
    for models in (3, 5):
        run(f"mean over {models} models", 131, mean_over_models(models, 131), [[("{}", 0.0)]])
    sizes = (
        ((8, 40, True),)
        if chosen.quick
        else ((64, 131, True), (64, 1000, True), (1280, 131, True), (1280, 1000, False))
    )
    for dimensions, images, infinity in sizes:
        populations = Populations.of(dimensions)
        truth = populations.frechet
        truths: list[list[tuple[str, float | None]]] = [
            [("Fréchet, {}: as many images", None), ("Fréchet, {}: populations", truth)],
            [("kernel, {}: populations", populations.kernel)],
        ]
        if infinity:
            truths.append([("Fréchet extrapolated, {}: populations", truth)])
        run(f"{dimensions} features", images, distances(populations, images, infinity), truths)
    measure.report("bootstrap", chosen, rows, trials=chosen.turns, decay=1.1)


if __name__ == "__main__":
    main()
