"""Measuring generators: a Fréchet distance on bundled features, L1, PSNR and SSIM."""

from pocketgan.metrics.evaluate import METRICS, Evaluation, Evaluator, Metric
from pocketgan.metrics.features import MobileNetV2
from pocketgan.metrics.frechet import Statistics, frechet_distance

__all__ = [
    "METRICS",
    "Evaluation",
    "Evaluator",
    "Metric",
    "MobileNetV2",
    "Statistics",
    "frechet_distance",
]
