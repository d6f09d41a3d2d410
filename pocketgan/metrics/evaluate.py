"""Scoring a generator: its images are made once, batch by batch, and scored by every metric.

Images are rounded to 8 bits before every metric, but for those of the papers, which cut fractions off: what is
scored is what a user saves. Pictures of 16 bits or floats, whose range is that of their set, are rounded alike, to
256 steps from low to high: no metric sees finer ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketgan.distributed import ALONE, World
from pocketgan.errors import DataError, SpecError, unknown
from pocketgan.metrics.bootstrap import Contributions, Figure
from pocketgan.metrics.catalog import (
    COMPARISONS,
    DEFAULT_PAIRED,
    DEFAULT_TAUGHT,
    DEFAULT_UNPAIRED,
    METRICS,
    NETWORKS,
    SEMANTICS,
    Comparison,
    Metric,
    metric_named,
    set_figure,
)
from pocketgan.metrics.encoders import Encoders, digest_of
from pocketgan.metrics.evaluation import Evaluation, worst_of
from pocketgan.metrics.frechet import Statistics, frechet_distance
from pocketgan.metrics.observed import TEACHER, Observed, Observers
from pocketgan.metrics.protocols import find_protocol
from pocketgan.metrics.real import Reference
from pocketgan.metrics.segmentation import Segmentation
from pocketgan.metrics.stream import Answers, Generate, Listing, Pairs, Reals
from pocketgan.seeds import derive_seed


class Evaluator:
    """Scores generators on the inputs of ``batches``; the real images are read and their features computed once.

    ``batches`` and ``targets`` are iterated anew for every evaluation and must give the same images in the same
    order each time (a list, or a `Stream`). Images are in [-1, 1].

    Args:
        batches: inputs with their targets, or, of unpaired data, with no target.
        metrics: the names of those wanted; default: what suits the data, with those to the teacher and of the
            segmentation where these are given; nothing that needs a download.
        targets: the real images of the distances between sets, where they are not the targets of `batches`.
        teacher: the generator whose outputs the metrics teacher_... (and the protocol pseudo-pair) hold against.
        segmentation: a segmenter with the label maps, for miou and pixel_accuracy.
        weights: files of weights by the name of their network; others are found as `find_weights` does.
        statistics: an .npz file with mu and sigma of the real images, for the FIDs instead of `targets`.
        protocol: its name; says in the result which images these are, see `protocols`.
        cache: a folder that keeps the features of real images, by their content.
        world: the processes that share the images of an evaluation, all of which make and call it alike; figures
            are to the last bit those of one process.

    Raises:
        DataError: fewer than two images; what a metric needs is missing; weights that cannot be found.
        SpecError: an unknown metric, network or protocol.
    """

    def __init__(
        self,
        batches: Iterable[Pairs],
        *,
        metrics: Iterable[str] | None = None,
        targets: Iterable[Reals] | None = None,
        teacher: Generate | None = None,
        segmentation: Segmentation | None = None,
        weights: Mapping[str, Path] | None = None,
        statistics: Path | None = None,
        device: torch.device | str = "cpu",
        protocol: str = "held-out",
        cache: Path | None = None,
        world: World = ALONE,
    ):
        self.protocol = find_protocol(protocol)
        self.device, self.world = torch.device(device), world
        self.segmentation = segmentation
        weights = weights or {}
        for name in weights:
            if name not in NETWORKS:
                raise unknown("network", name, NETWORKS)
        self._sources = Listing()
        pairs = True
        for batch in batches:
            self._sources.add(batch.x, batch.names)
            pairs = pairs and len(batch.y) == len(batch.x)
        if self._sources.images < 2:
            count = self._sources.images
            raise DataError(f"an evaluation needs at least 2 images, and there is {count}; add images")
        self.batches = batches
        if self.protocol.reference == "teacher":
            if teacher is None:
                raise DataError(
                    f"the protocol {protocol} holds against a teacher's outputs; give one with --teacher"
                )
            self.batches, targets, pairs = Answers(batches, teacher, self.device), None, True
        if metrics is None:
            taught = DEFAULT_TAUGHT if teacher and self.protocol.reference != "teacher" else ()
            metrics = (
                *(DEFAULT_PAIRED if pairs else DEFAULT_UNPAIRED),
                *taught,
                *(SEMANTICS if segmentation else ()),
            )
        chosen = [_known(name) for name in metrics]
        self.metrics = tuple(metric.name for metric in chosen)
        self._sets = [metric for metric in chosen if metric.encoder]
        lacks = {
            "pairs": None if pairs else "a target for each input, and these data have no pairs",
            "targets": None if pairs or targets is not None else "real images, and there are none; give targets",
            "teacher": None if teacher else "a teacher's outputs; give one with --teacher",
            "labels": None if segmentation else "label maps and a segmenter; give one with --segmenter",
        }
        for metric in chosen:
            for need in metric.needs:
                by_file = statistics is not None and metric.takes_statistics
                if (lack := lacks[need]) and not by_file:
                    raise DataError(f"{metric.name} needs {lack}, or leave the metric out")
        if statistics is not None and not any(metric.takes_statistics for metric in chosen):
            raise SpecError(
                "statistics of real images are for FIDs, and none is wanted; add fid_legacy or fid_clean"
            )
        #: whether a generated image and the real one of its place are drawn together
        self._paired = pairs and targets is None

        self._comparisons: dict[str, Comparison] = {}
        for metric in chosen:
            if metric.needs[0] in ("pairs", "teacher"):
                comparison = COMPARISONS[metric.name.removeprefix(TEACHER)](weights)
                on_device = comparison.to(self.device) if isinstance(comparison, nn.Module) else comparison
                self._comparisons[metric.name] = on_device
        self._encoders = Encoders([metric.encoder for metric in self._sets if metric.encoder], weights, self.device)
        self._reference = Reference(
            self.batches if targets is None else targets,
            self._sets,
            self._encoders,
            file=statistics,
            cache=cache,
            world=world,
        )
        needs = {need for metric in chosen for need in metric.needs}
        asked = teacher if "teacher" in needs else None
        self._answers = Answers(self.batches, asked, self.device) if asked else None
        self._observers = Observers(
            self._comparisons, self._encoders, self._answers, segmentation if "labels" in needs else None
        )
        self._settings = {metric.name: self._settings_of(metric) for metric in chosen}

    @torch.inference_mode()
    def __call__(self, generate: Generate, *, intervals: bool = False, seed: int = 0) -> Evaluation:
        """The scores of ``generate``: inputs on the evaluator's device to images in [-1, 1].

        ``intervals`` adds errors and 95 % bootstrap intervals, drawn from ``seed``. Raises PocketGANError for an
        image that is not finite, DataError for one of another size than its target.
        """
        seen = self._observed(generate, self.world)
        if seen.names != self._sources.names:
            raise DataError(
                "an evaluation needs the images that its evaluator was made with, in the same order, and "
                f"got {len(seen.names)} others instead of {len(self._sources.names)}; turn shuffling off"
            )
        seen.check()
        per_image, taught = seen.per_image, {"teacher": self._answers.sha256} if self._answers else {}
        figures = self._figures(seen, per_image, self.metrics, seed, influences=intervals)
        result = Evaluation(
            scores={name: figures[name].value for name in self.metrics},
            per_image=per_image,
            names=seen.names,
            worst=worst_of(per_image, seen.names),
            warnings=self._warnings(seen.alike, per_image),
            protocol=self.protocol.name,
            images={"sources": self._sources.finish(), "targets": self._reference.listing.finish()},
            settings={
                name: settings | (taught if name.startswith(TEACHER) else {})
                for name, settings in self._settings.items()
            },
        )
        if not intervals:
            return result
        contributions = {name: self._contributions(figures[name], per_image.get(name)) for name in self.metrics}
        return replace(result, contributions=contributions).resampled(seed)

    @torch.inference_mode()
    def scores(self, generators: Iterable[Generate]) -> list[dict[str, float]]:
        """The scores of each, as of single evaluations: an accelerator is waited for once, after all of them."""
        observed = [self._observed(generate) for generate in generators]
        return [self._scores(seen) for seen in observed]

    def growing(self, generate: Generate, metric: str, seed: int = 0) -> Iterator[Contributions]:
        """What the images contribute to one of its metrics, after each batch: of those up to then.

        The next batch is made when the next figure is asked for. The last figure is that of a whole evaluation.
        """
        seen = Observed(self._observers)
        for batch in self.batches:
            with torch.inference_mode():
                self._observe(seen, batch, generate)
                seen.check()
                per_image = seen.per_image
                figure = self._figures(seen, per_image, (metric,), seed, influences=True)[metric]
            yield self._contributions(figure, per_image.get(metric))

    def _observed(self, generate: Generate, world: World = ALONE) -> Observed:
        seen = Observed(self._observers, world)
        for batch in world.mine(self.batches):
            self._observe(seen, batch, generate)
        return seen.joined()

    def _scores(self, seen: Observed) -> dict[str, float]:
        seen.check()
        figures = self._figures(seen, seen.per_image, self.metrics, seed=0, influences=False)
        return {name: figures[name].value for name in self.metrics}

    def _observe(self, seen: Observed, batch: Pairs, generate: Generate) -> None:
        x = batch.x.to(self.device)
        seen.add(batch, x, generate(x))

    def _figures(
        self,
        seen: Observed,
        per_image: Mapping[str, list[float]],
        metrics: Sequence[str],
        seed: int,
        *,
        influences: bool,
    ) -> dict[str, Figure]:
        """Of the images that were seen. Raises DataError where nothing in them counts."""
        figures = {name: Figure(float(np.mean(values)), np.empty(0)) for name, values in per_image.items()}
        random = np.random.default_rng(derive_seed(seed, "extrapolation"))
        for metric in self._sets:
            if metric.name in metrics:
                made = seen.features(metric.encoder or "")
                figures[metric.name] = self._set_figure(metric, made, random, influences=influences)
        if self.segmentation and (segmented := seen.segmented) is not None:
            figures |= self.segmentation.figures(segmented)
        for name in metrics:
            if math.isnan(figures[name].value):
                raise DataError(f"{name} cannot be computed of these images: nothing in them counts; leave it out")
        return figures

    def _set_figure(self, metric: Metric, made: Tensor, random: np.random.Generator, *, influences: bool) -> Figure:
        """A distance to the real images; without influences only the value, which is faster for the commonest."""
        if metric.measure == "frechet" and not influences:
            distance = frechet_distance(Statistics.of(made), self._reference.statistics(metric))
            return Figure(distance, np.empty(0))
        real = self._reference.of(metric)
        if self._paired and isinstance(real, Tensor):
            real = real[: len(made)]
        return set_figure(metric, made, real, paired=self._paired, random=random)

    def _contributions(self, figure: Figure, values: list[float] | None) -> Contributions:
        # of a mean, the values themselves, which may be infinite
        return Contributions.of(figure, self._paired) if values is None else Contributions(np.array([values]))

    def _warnings(self, alike: bool, per_image: Mapping[str, list[float]]) -> tuple[str, ...]:
        """What a reader must know to judge the figures."""
        found = []
        if alike:
            found.append("all generated images are alike: the generator has collapsed or ignores its input")
        if self._reference.listing.images and self._reference.listing.alike:
            found.append("all real images are alike: distances to them mean little")
        for metric in self._sets:
            if metric.measure not in ("frechet", "infinity"):
                continue
            real = self._reference.of(metric)
            dimensions = real.mean.numel() if isinstance(real, Statistics) else real.shape[1]
            counts = (
                [len(self._sources.names)]
                if isinstance(real, Statistics)
                else [len(self._sources.names), len(real)]
            )
            if min(counts) <= dimensions:
                few = f"{metric.name}: {min(counts)} images are no more than its {dimensions} features, so it is "
                high = "far too high, and compares only with figures of as many images"
                found.append(few + ("still too high" if metric.measure == "infinity" else high))
        for name, values in per_image.items():
            if infinite := sum(map(math.isinf, values)):
                found.append(
                    f"{name}: {infinite} of {len(values)} images equal their targets, which makes it infinite"
                )
        return tuple(found)

    def _settings_of(self, metric: Metric) -> dict[str, Any]:
        """What a figure depends on besides the images."""
        if metric.encoder:
            weights = self._encoders.digest(metric.encoder)
            file = {"statistics": self._reference.digest} if self._reference.from_file(metric) else {}
            return {"features": metric.encoder, "weights": weights, "paired": self._paired, **file}
        comparison = self._comparisons.get(metric.name)
        if isinstance(comparison, nn.Module):
            return {"weights": digest_of(comparison)}
        return (
            {"classes": self.segmentation.segmenter.classes}
            if metric.needs == ("labels",) and self.segmentation
            else {}
        )


def _known(name: str) -> Metric:
    return METRICS[metric_named(name)]
