"""Milliseconds an image, measured on the runtime that serves it: batch 1, float32, CPU."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pocketgan.errors import SpecError
from pocketgan.networks import Generator
from pocketgan.units import Size, both_sides, size_text

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


def onnx_latency(
    path: Path, size: int | Size, *, threads: int = 1, repeats: int = 30, budget_s: float = 10.0
) -> Latency:
    """Latency of one ONNX file on ONNX Runtime; see ``compare_onnx``."""
    return compare_onnx([path], size, threads=threads, repeats=repeats, budget_s=budget_s)[0]


def compare_onnx(
    paths: Sequence[Path], size: int | Size, *, threads: int = 1, repeats: int = 30, budget_s: float = 10.0
) -> list[Latency]:
    """Latencies of several ONNX files, measured in turns so that the machine's noise hits all of them alike.

    The first input of a file is its image; what else it takes (a style) is fed by its own name and shape.
    Every file runs ``repeats`` times after its warm-up, fewer when ``budget_s`` seconds are over, but at
    least 10 times. ``size`` is a side, or height and width. Raises SpecError for a file that is fixed to
    another size.
    """
    import onnxruntime

    size = both_sides(size)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised: no need to print them too
    # Otherwise the idle threads of one session would spin through the turn of the next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    calls = []
    for path in paths:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = session.get_inputs()
        fixed = inputs[0].shape[2:]
        if all(isinstance(side, int) for side in fixed) and tuple(fixed) != size:
            own = size_text(tuple(fixed))
            raise SpecError(
                f"'{path.name}' takes images of {own} pixels, and {size_text(size)} was asked for; "
                f"measure it at {own}"
            )
        feed = {each.name: _numbers(_one(each.shape, size if each is inputs[0] else ())) for each in inputs}
        calls.append(lambda session=session, feed=feed: session.run(None, feed))
    runtime = f"onnxruntime {onnxruntime.__version__}"
    return [
        _summary(times, name=path.name, size=size, threads=threads, runtime=runtime)
        for path, times in zip(paths, _in_turns(calls, repeats, budget_s), strict=True)
    ]


@torch.inference_mode()
def torch_latency(
    network: nn.Module, size: int | Size, *, threads: int = 1, repeats: int = 30, budget_s: float = 10.0
) -> Latency:
    """Latency of a network in eager PyTorch on the CPU, in eval mode, given what it takes beside an image.

    Repeats as in ``compare_onnx``.
    """
    size = both_sides(size)
    network = copy.deepcopy(network).cpu().float().eval()
    channels, drawn = 3, {}
    if isinstance(network, Generator):
        channels, drawn = network.spec.in_channels, network.draw(1, torch.Generator().manual_seed(0))
    image = torch.from_numpy(_numbers((1, channels, *size)))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        (times,) = _in_turns([lambda: network(image, **drawn)], repeats, budget_s)
    finally:
        torch.set_num_threads(before)
    return _summary(
        times, name=type(network).__name__, size=size, threads=threads, runtime=f"torch {torch.__version__}"
    )


def _one(shape: Sequence[int | str], sides: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one example: `sides` as the last dimensions, 1 for any other that the file leaves open."""
    rest = shape[: len(shape) - len(sides)]
    return (*(length if isinstance(length, int) else 1 for length in rest), *sides)


def _numbers(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _in_turns(calls: Sequence[Callable[[], object]], repeats: int, budget_s: float) -> list[list[float]]:
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
