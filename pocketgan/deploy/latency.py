"""Milliseconds an image, measured on the runtime that serves it: batch 1, float32, CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketgan.deploy.serving import Call, ServingRuntime
from pocketgan.networks import ResnetSpec
from pocketgan.units import Size, both_sides

#: runs that are not counted
WARM_UP = 3
MINIMUM = 10
#: more than this share of a run is not spent in waiting on a quiet machine
BUSY = 0.1
#: what others are measured beside, and the size of its image: of the kind that is measured, so that what slows
#: those down, as others who use the memory, slows it down as much
REFERENCE, REFERENCE_SIZE = ResnetSpec.uniform(16, blocks=3).mobile, (256, 256)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Wall-clock milliseconds of one image of ``size`` (height, width) on ``threads`` CPU threads.

    ``waiting`` is the share of that time in which this process computed nothing: others had the processor. Above
    ``BUSY`` the milliseconds say more of the machine than of the network; ratios of contestants in turns hold.
    """

    name: str
    size: Size
    least_ms: float
    median_ms: float
    quartiles_ms: tuple[float, float]
    runs: int
    threads: int
    runtime: str
    waiting: float

    @property
    def busy(self) -> bool:
        """Whether the machine was too busy for milliseconds to be trusted."""
        return self.waiting > BUSY


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
    waits: list[list[float]] = [[] for _ in calls]
    return [
        _summary(times, waits=own, name=_name(network), size=size, threads=threads, runtime=runtime.version())
        for network, times, own in zip(networks, _in_turns(calls, repeats, budget_s, waits), waits, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Relative:
    """How long a network takes beside a reference, in the same turns.

    On one thread times are those that the processor spent on it, which are wall-clock times on a machine that has
    nothing else to do; on several threads, wall-clock times.

    Attributes:
        ratio: the median of the ratios to the reference.
        least_ms: milliseconds of the quickest run.
        reference_ms: milliseconds of the reference, in the median.
        waiting: the share of the time in which others had the processor (see `Latency.waiting`).
    """

    ratio: float
    least_ms: float
    reference_ms: float
    waiting: float


def reference(runtime: ServingRuntime, folder: Path) -> Path:
    """A file of what others are measured beside."""
    file = folder / f"reference{runtime.suffix}"
    if not file.exists():
        assert runtime.export is not None, "the runtime has files"
        runtime.export(REFERENCE.build().eval(), REFERENCE_SIZE, file, fixed=True)
    return file


def beside_reference(
    runtime: ServingRuntime,
    files: Sequence[Path],
    size: Size,
    threads: int,
    *,
    folder: Path,
    repeats: int = 30,
    budget_s: float = 10.0,
) -> list[Relative]:
    """Files of the runtime's format, measured in turns with the reference: whatever slows the machine down slows
    both, so that ratios hold on a busy one. `folder`: where the reference's file is kept."""
    calls = [
        runtime.ready(reference(runtime, folder), REFERENCE_SIZE, threads),
        *(runtime.ready(file, size, threads) for file in files),
    ]
    waits: list[list[float]] = [[] for _ in calls]
    times = np.array(_in_turns(calls, repeats, budget_s, waits))
    first, *others = times * (1 - np.array(waits)) if threads == 1 else times
    return [
        Relative(
            ratio=float(np.median(own / first)),
            least_ms=float(own.min()),
            reference_ms=float(np.median(first)),
            waiting=float(np.median(waited)),
        )
        for own, waited in zip(others, waits[1:], strict=True)
    ]


def where(measured: Sequence[Latency]) -> str:
    """The runtime of latencies that were measured in turns, its threads, and whether the machine was busy."""
    runtime, threads = measured[0].runtime, measured[0].threads
    busy = ", on a busy machine" if any(each.busy for each in measured) else ""
    return f"{runtime}, {threads} thread{'s' * (threads > 1)}{busy}"


def _name(network: Any) -> str:
    """A file's name, or the network's class."""
    return getattr(network, "name", type(network).__name__)


def _in_turns(
    calls: Sequence[Call], repeats: int, budget_s: float, waits: Sequence[list[float]] | None = None
) -> list[list[float]]:
    """Milliseconds of every run of every call; into `waits` go the shares of them that this process waited."""
    for call in calls:
        for _ in range(WARM_UP):
            call()
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + budget_s
    while len(times[0]) < MINIMUM or (len(times[0]) < repeats and time.perf_counter() < end):
        for place, (call, own) in enumerate(zip(calls, times, strict=True)):
            start, computed = time.perf_counter(), time.process_time()
            call()
            own.append((time.perf_counter() - start) * 1e3)
            if waits is not None:
                waits[place].append(max(0.0, 1 - (time.process_time() - computed) * 1e3 / own[-1]))
    return times


def _summary(
    times: list[float], *, waits: list[float], name: str, size: Size, threads: int, runtime: str
) -> Latency:
    low, median, high = np.quantile(times, (0.25, 0.5, 0.75))
    return Latency(
        name=name,
        size=size,
        least_ms=min(times),
        median_ms=float(median),
        quartiles_ms=(float(low), float(high)),
        runs=len(times),
        threads=threads,
        runtime=runtime,
        waiting=float(np.median(waits)),
    )
