"""How long scoring takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

import torch
from jaxtyping import Float
from torch import Tensor

from pocketgan.data.batches import Batch
from pocketgan.metrics.catalog import FRECHET
from pocketgan.metrics.evaluate import Evaluator
from pocketgan.metrics.stream import Generate
from pocketgan.runtime import synchronise

RUNS = 3


def seconds_an_image(
    generate: Generate,
    x: Float[Tensor, "batch channels height width"],
    *,
    device: torch.device,
    out_channels: int = 3,
    metrics: Iterable[str] = (FRECHET,),
    weights: Mapping[str, Path] | None = None,
) -> float:
    """Seconds for one image of a candidate: generated, seen by the metrics' networks, scored.

    Measured on `device`, where `generate` computes, on the inputs `x` (at least 2, best as many as
    `resident.batch_on` says), after a first run that warms up.
    """
    y = torch.rand(len(x), out_channels, *x.shape[2:], generator=torch.Generator().manual_seed(0)) * 2 - 1
    batch = Batch(x.to(device), y.to(device), tuple(map(str, range(len(x)))))
    evaluator = Evaluator([batch], metrics=metrics, teacher=lambda _: batch.y, weights=weights, device=device)
    seconds = []
    for _ in range(RUNS + 1):
        synchronise(device)
        start = time.perf_counter()
        evaluator.scores([generate])
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:]) / len(x)
