"""Measuring generators: distances between sets, differences between pairs, semantics; how sure one can be."""

from pocketgan.metrics.catalog import METRICS, Metric
from pocketgan.metrics.compare import Difference, compare
from pocketgan.metrics.evaluate import Evaluator
from pocketgan.metrics.evaluation import Evaluation
from pocketgan.metrics.frechet import Statistics, frechet_distance
from pocketgan.metrics.pool import pool
from pocketgan.metrics.protocols import PROTOCOLS
from pocketgan.metrics.stream import Stream

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Difference",
    "Evaluation",
    "Evaluator",
    "Metric",
    "Statistics",
    "Stream",
    "compare",
    "frechet_distance",
    "pool",
]
