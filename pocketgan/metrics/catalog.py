"""Every metric by name: what it says, which way is better, what it needs, how it is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from pocketgan.errors import DataError, unknown
from pocketgan.files import path_of
from pocketgan.metrics import manifold, pairs
from pocketgan.metrics.bootstrap import Figure
from pocketgan.metrics.dists import Dists
from pocketgan.metrics.encoders import ENCODERS
from pocketgan.metrics.frechet import Statistics, extrapolated, frechet
from pocketgan.metrics.kernel import gaussian, kernel_distance, polynomial
from pocketgan.metrics.lpips import Lpips
from pocketgan.pretrained.perceptual import NAMES

Better = Literal["lower", "higher"]
Need = Literal["pairs", "targets", "teacher", "labels"]
Distance = Callable[[Tensor, Tensor], Figure]
Comparison = Callable[[Tensor, Tensor], Tensor]
Weights = Mapping[str, Path]


@dataclass(frozen=True)
class Metric:
    """A figure that an evaluation reports, and which way is better.

    Attributes:
        needs: "pairs" (a target for each input), "targets" (real images, not those of the inputs by necessity),
            "teacher" (another generator), "labels" (label maps and a segmenter).
        encoder: for a distance between sets, the name of its features.
        measure: for a distance between sets, which one.
    """

    name: str
    better: Better
    description: str
    needs: tuple[Need, ...]
    encoder: str | None = None
    measure: str | None = None

    @property
    def takes_statistics(self) -> bool:
        """Whether published statistics of real images (mean and covariance of Inception features) will do."""
        return self.measure in ("frechet", "infinity") and self.encoder in ("inception", "inception_legacy")


#: distances between sets of features; the Fréchet ones have their own ways with statistics from a file
DISTANCES: dict[str, Distance] = {
    "kernel": partial(kernel_distance, kernel=polynomial),
    "gaussian kernel": partial(kernel_distance, kernel=gaussian),
    "precision": manifold.precision,
    "recall": manifold.recall,
    "density": manifold.density,
    "coverage": manifold.coverage,
}

#: what each image scores against its own target: made from the files of weights that were given
COMPARISONS: dict[str, Callable[[Weights], Comparison]] = {
    "l1": lambda weights: pairs.l1,
    "psnr": lambda weights: pairs.psnr,
    "ssim": lambda weights: pairs.ssim,
    "ms_ssim": lambda weights: pairs.ms_ssim,
    "lpips_alex": lambda weights: Lpips.load("alex", weights.get("alexnet")),
    "lpips_squeeze": lambda weights: Lpips.load("squeeze", weights.get("squeezenet1_1")),
    "lpips_vgg": lambda weights: Lpips.load("vgg", weights.get("vgg16")),
    "dists": lambda weights: Dists.load(weights.get("vgg16"), weights.get("dists")),
}

#: the networks whose weights a user may give
NETWORKS = sorted(
    {encoder.network for encoder in ENCODERS.values()} | {"alexnet", "squeezenet1_1", "vgg16", "dists"}
)


def files_of_weights(given: Mapping[str, Path | str]) -> dict[str, Path]:
    """Files of weights by the name of their network, those of perceptual terms too.

    Raises `SpecError` for a name that does not exist, `DataError` where there is no such file.
    """
    files = {}
    for name, file in given.items():
        if name not in (known := {*NETWORKS, *NAMES}):
            raise unknown("network", name, known)
        files[name] = path_of(file, f"the file of the weights of {name}")
        if not files[name].is_file():
            raise DataError(f"{file}, given as the weights of {name}, is no file; mend its name")
    return files


def set_figure(
    metric: Metric,
    generated: Tensor,
    real: Tensor | Statistics,
    *,
    paired: bool,
    random: np.random.Generator,
) -> Figure:
    """A distance between two sets of features (images x dimensions), or from one to statistics."""
    if metric.measure == "frechet":
        return frechet(generated, real)
    if metric.measure == "infinity":
        return extrapolated(generated, real, paired=paired, random=random)
    assert metric.measure is not None
    assert isinstance(real, Tensor), "only Fréchet distances take statistics"
    return DISTANCES[metric.measure](generated, real)


def _distances() -> list[Metric]:
    def frechet_of(name: str, encoder: str, about: str) -> Metric:
        return Metric(name, "lower", about, ("targets",), encoder, "frechet")

    found = [
        frechet_of(
            "fd_mobilenet_v2",
            "mobilenet_v2",
            "Fréchet distance between MobileNetV2 features of generated and real images; "
            "not comparable with a FID, and only between equal numbers of images",
        ),
        frechet_of(
            "fid_legacy", "inception_legacy", "FID as the papers have it: bytes cut off, resized with aliasing"
        ),
        frechet_of(
            "fid_clean", "inception", "FID of images rounded to bytes and resized without aliasing (Clean-FID)"
        ),
        frechet_of("fd_dinov2", "dinov2", "Fréchet distance between DINOv2 features"),
        frechet_of("fd_clip", "clip", "Fréchet distance between CLIP features"),
    ]
    for name, encoder, of in (
        ("fd_mobilenet_v2_infinity", "mobilenet_v2", "fd_mobilenet_v2"),
        ("fid_infinity", "inception", "fid_clean"),
    ):
        about = f"{of}, extrapolated to infinitely many images"
        found.append(Metric(name, "lower", about, ("targets",), encoder, "infinity"))
    for name, encoder, about in (
        ("kid", "inception", "KID: squared kernel distance between clean Inception features, without bias"),
        ("kid_legacy", "inception_legacy", "KID on the features of fid_legacy"),
        ("kd_mobilenet_v2", "mobilenet_v2", "the kernel distance of the KID, between MobileNetV2 features"),
        ("kd_dinov2", "dinov2", "the kernel distance of the KID, between DINOv2 features"),
    ):
        found.append(Metric(name, "lower", about, ("targets",), encoder, "kernel"))
    about = "CMMD, 1000 times: Gaussian kernel distance between CLIP features, without bias"
    found.append(Metric("kd_clip", "lower", about, ("targets",), "clip", "gaussian kernel"))
    for measure, about in (
        ("precision", "share of generated images within the manifold of the real ones"),
        ("recall", "share of real images within the manifold of the generated ones"),
        ("density", "how crowded the real images are around the generated ones; about 1 for equal distributions"),
        ("coverage", "share of real images that have a generated one near"),
    ):
        for encoder in ("mobilenet_v2", "inception", "dinov2", "clip"):
            words = f"{about}, by {encoder} features"
            found.append(Metric(f"{measure}_{encoder}", "higher", words, ("targets",), encoder, measure))
    return found


def _comparisons() -> list[Metric]:
    found: list[Metric] = []
    for prefix, need, other in (("", "pairs", "target"), ("teacher_", "teacher", "teacher's output")):
        for name, better, about in (
            ("l1", "lower", "mean absolute difference to the {} on the [-1, 1] scale"),
            ("psnr", "higher", "peak signal-to-noise ratio against the {}, dB"),
            ("ssim", "higher", "structural similarity to the {}"),
            ("ms_ssim", "higher", "structural similarity to the {} at five scales, from 176 pixels a side"),
            ("lpips_alex", "lower", "LPIPS v0.1 (AlexNet) to the {}"),
            ("lpips_squeeze", "lower", "LPIPS v0.1 (SqueezeNet) to the {}"),
            ("lpips_vgg", "lower", "LPIPS v0.1 (VGG16) to the {}"),
            ("dists", "lower", "DISTS to the {}: structure and texture"),
        ):
            found.append(Metric(prefix + name, better, about.format(other), (need,)))  # type: ignore[arg-type]
    return found


_SEMANTICS = (
    Metric("miou", "higher", "mean IoU of the generated images' segmentation with the label maps", ("labels",)),
    Metric("pixel_accuracy", "higher", "share of pixels that are segmented as in the label maps", ("labels",)),
)

METRICS = {metric.name: metric for metric in (*_distances(), *_comparisons(), *_SEMANTICS)}

#: what people write for a metric: FID alone is the papers'
ALSO_CALLED = {"fid": "fid_legacy", "lpips": "lpips_alex"}


def metric_named(name: str) -> str:
    """The name of a metric, or of what people call so. Raises `SpecError` where there is none."""
    found = ALSO_CALLED.get(name.lower(), name)
    if found not in METRICS:
        raise unknown("metric", name, METRICS)
    return found


#: the distance that needs no download
FRECHET = "fd_mobilenet_v2"

#: what is computed where nothing else is asked for: nothing that must be downloaded
DEFAULT_PAIRED = (FRECHET, "l1", "psnr", "ssim")
DEFAULT_UNPAIRED = (FRECHET, "kd_mobilenet_v2")
DEFAULT_TAUGHT = ("teacher_l1", "teacher_psnr", "teacher_ssim")
SEMANTICS = tuple(metric.name for metric in _SEMANTICS)
