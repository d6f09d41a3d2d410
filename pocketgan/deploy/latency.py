"""Milliseconds an image, measured on the runtime that serves it: batch 1, float32, CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pocketgan.deploy.serving import Call, ServingRuntime
from pocketgan.units import Size, both_sides

WARM_UP = 3
MINIMUM = 10


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Wall-clock milliseconds of one image of ``size`` (height, width) on ``threads`` CPU threads."""

    name: str
    size: Size
    median_ms: float
    quartiles_ms: tuple[float, float]
    runs: int
    threads: int
    runtime: str


def latencies(
    runtime: ServingRuntime,
    networks: Sequence[Any],
    size: int | Size,
    *,
    threads: int = 1,
    repeats: int = 30,
    budget_s: float = 10.0,
) -> list[Latency]:
    """Latencies of several networks, or files of the runtime's format, measured in turns so that the machine's
    noise hits all of them alike.

    Each runs ``repeats`` times after its warm-up, fewer when ``budget_s`` seconds are over, but at least 10 times.
    ``size`` is a side, or height and width. Raises SpecError for a file that is fixed to another size.
    """
    size = both_sides(size)
    calls = [runtime.ready(network, size, threads) for network in networks]
    return [
        _summary(times, name=_name(network), size=size, threads=threads, runtime=runtime.version())
        for network, times in zip(networks, _in_turns(calls, repeats, budget_s), strict=True)
    ]


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    """An input of that shape, in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _name(network: Any) -> str:
    """A file's name, or the network's class."""
    return getattr(network, "name", type(network).__name__)


def _in_turns(calls: Sequence[Call], repeats: int, budget_s: float) -> list[list[float]]:
    """Milliseconds of every run of every call."""
    for call in calls:
        for _ in range(WARM_UP):
            call()
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + budget_s
    while len(times[0]) < MINIMUM or (len(times[0]) < repeats and time.perf_counter() < end):
        for call, own in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            own.append((time.perf_counter() - start) * 1e3)
    return times


def _summary(times: list[float], *, name: str, size: Size, threads: int, runtime: str) -> Latency:
    low, median, high = np.quantile(times, (0.25, 0.5, 0.75))
    return Latency(
        name=name,
        size=size,
        median_ms=float(median),
        quartiles_ms=(float(low), float(high)),
        runs=len(times),
        threads=threads,
        runtime=runtime,
    )
