"""Scoring a generator on a fixed set of pairs.

Generated and real images are rounded to 8 bits before every metric: what is scored is what a user saves.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pocketgan.errors import DataError, PocketGANError, unknown
from pocketgan.metrics import pairs
from pocketgan.metrics.features import MobileNetV2
from pocketgan.metrics.frechet import Statistics, frechet_distance

RESAMPLES = 200


@dataclass(frozen=True)
class Metric:
    """A figure that an evaluation reports, and which way is better."""

    name: str
    better: Literal["lower", "higher"]
    description: str


FRECHET = "fd_mobilenet_v2"

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            FRECHET,
            "lower",
            "Fréchet distance between MobileNetV2 features of generated and real images; "
            "not comparable with a FID, and only between equal numbers of images",
        ),
        Metric("l1", "lower", "mean absolute difference to the target on the [-1, 1] scale"),
        Metric("psnr", "higher", "peak signal-to-noise ratio against the target, dB"),
        Metric("ssim", "higher", "structural similarity to the target"),
    )
}

_PER_IMAGE = {"l1": pairs.l1, "psnr": pairs.psnr, "ssim": pairs.ssim}


@runtime_checkable
class Pairs(Protocol):
    """A batch: inputs, their targets in [-1, 1], and a name an image."""

    @property
    def x(self) -> Tensor: ...

    @property
    def y(self) -> Tensor: ...

    @property
    def names(self) -> Sequence[str]: ...


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of one generator.

    ``per_image`` lists the metrics that exist for one image, in the order of ``names``; ``scores`` has means.
    ``intervals`` are 95% bootstrap intervals over the images, empty unless asked for.
    """

    scores: dict[str, float]
    per_image: dict[str, list[float]]
    names: list[str]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


class Evaluator:
    """Scores generators against the targets of ``batches``; the features of the targets are computed once.

    ``batches`` is iterated anew for every evaluation and must give the same pairs in the same order each time
    (a list, or a loader that does not shuffle); targets are in [-1, 1]. ``metrics`` names the scores wanted.
    ``statistics_file`` keeps the targets' features between processes: its path must stand for the images, as
    only their names are compared.

    Raises DataError for fewer than two images, SpecError for an unknown metric.
    """

    def __init__(
        self,
        batches: Iterable[Pairs],
        *,
        metrics: Iterable[str] = tuple(METRICS),
        device: torch.device | str = "cpu",
        statistics_file: Path | None = None,
    ):
        self.batches = batches
        self.metrics = tuple(metrics)
        self.device = torch.device(device)
        for name in self.metrics:
            if name not in METRICS:
                raise unknown("metric", name, METRICS)
        if FRECHET in self.metrics:
            self._network = MobileNetV2.load().to(self.device)
            if statistics_file is not None and statistics_file.exists():
                self._real_names, self._real = _read(statistics_file)
            else:
                self._real_names, self._real = self._targets()
                if statistics_file is not None:
                    _write(statistics_file, self._real_names, self._real)
            self._real_statistics = Statistics.of(self._real)

    @torch.inference_mode()
    def __call__(
        self, generate: Callable[[Tensor], Tensor], *, intervals: bool = False, seed: int = 0
    ) -> Evaluation:
        """The scores of ``generate``: inputs on the evaluator's device to images in [-1, 1].

        ``intervals`` adds bootstrap intervals, drawn from ``seed``. Raises PocketGANError for an image that
        is not finite.
        """
        names: list[str] = []
        features: list[Tensor] = []
        per_image: dict[str, list[float]] = {name: [] for name in self.metrics if name in _PER_IMAGE}
        for batch in self.batches:
            images = generate(batch.x.to(self.device))
            if not images.isfinite().all():
                raise PocketGANError(
                    f"a generator must give finite images, and gave NaN or infinity within "
                    f"{list(batch.names)}; its weights have diverged, train it at a lower learning rate"
                )
            images, targets = as_saved(images), as_saved(batch.y.to(self.device))
            names += batch.names
            for name, values in per_image.items():
                values += _PER_IMAGE[name](images, targets).tolist()
            if FRECHET in self.metrics:
                features.append(self._network(images).cpu())
        _require_two(names)

        scores = {name: float(np.mean(values)) for name, values in per_image.items()}
        generated = None
        if FRECHET in self.metrics:
            if names != self._real_names:
                raise DataError(
                    "an evaluation needs the pairs that its evaluator was made with, in the same order, and "
                    f"got {len(names)} others instead of {len(self._real_names)}; turn shuffling off, or "
                    "delete the statistics file"
                )
            generated = torch.cat(features)
            scores[FRECHET] = frechet_distance(Statistics.of(generated), self._real_statistics)
        return Evaluation(
            scores={name: scores[name] for name in self.metrics},
            per_image=per_image,
            names=names,
            intervals=self._intervals(scores, per_image, generated, seed) if intervals else {},
        )

    @torch.inference_mode()
    def _targets(self) -> tuple[list[str], Float[Tensor, "images 1280"]]:
        names: list[str] = []
        features: list[Tensor] = []
        for batch in self.batches:
            names += batch.names
            features.append(self._network(as_saved(batch.y.to(self.device))).cpu())
        _require_two(names)
        return names, torch.cat(features)

    def _intervals(
        self,
        scores: dict[str, float],
        per_image: dict[str, list[float]],
        generated: Float[Tensor, "images 1280"] | None,
        seed: int,
    ) -> dict[str, tuple[float, float]]:
        """Percentile intervals over resampled pairs.

        A resample repeats images, which moves every Fréchet distance up; those are moved back so that their
        mean is the score. The interval shows the noise of the choice of images (generously, for the Fréchet
        distance), not the bias of their number.

        Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 10 and 13.
        """
        resampled: dict[str, list[float]] = {name: [] for name in self.metrics}
        generator = np.random.default_rng(seed)
        values = {name: np.array(each) for name, each in per_image.items()}
        count = len(generated) if generated is not None else len(next(iter(values.values())))
        for _ in range(RESAMPLES):
            chosen = generator.integers(count, size=count)
            for name, each in values.items():
                resampled[name].append(each[chosen].mean())
            if generated is not None:
                times = torch.from_numpy(np.bincount(chosen, minlength=count))
                fake, real = Statistics.of(generated, times), Statistics.of(self._real, times)
                resampled[FRECHET].append(frechet_distance(fake, real))
        if generated is not None:
            shift = scores[FRECHET] - float(np.mean(resampled[FRECHET]))
            resampled[FRECHET] = [max(0.0, value + shift) for value in resampled[FRECHET]]
        # "nearest" never subtracts, so that an infinite PSNR stays infinite.
        ends = {name: np.quantile(each, (0.025, 0.975), method="nearest") for name, each in resampled.items()}
        return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def as_saved(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
    """Images in [-1, 1] as they read back from an 8-bit file: clipped, rounded to 256 levels."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def _require_two(names: list[str]) -> None:
    if len(names) < 2:
        raise DataError(f"an evaluation needs at least 2 images, and there is {len(names)}; add images")


def _read(file: Path) -> tuple[list[str], Float[Tensor, "images 1280"]]:
    with safe_open(file, "pt") as tensors:
        return json.loads(tensors.metadata()["names"]), tensors.get_tensor("features")


def _write(file: Path, names: list[str], features: Float[Tensor, "images 1280"]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    save_file({"features": features}, partial, metadata={"names": json.dumps(names)})
    os.replace(partial, file)
