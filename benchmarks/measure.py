"""What all benchmarks share: timing in turns, the machine's convolution peak, counting MACs, results as data.

On a machine that others use too, an absolute time means little and a ratio measured in turns means much: every
contestant of a comparison runs once a turn, so that noise hits all of them alike.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from pocketgan.runtime import synchronise

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pocketgan", "torch", "numpy", "onnxruntime")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Times:
    """Seconds of every run of one contestant, turn by turn."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.wall))

    @property
    def cpu_median(self) -> float:
        """Median of the seconds summed over all threads of this process."""
        return float(np.median(self.cpu))

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.quantile(self.wall, (0.25, 0.75))
        return float(low), float(high)

    def speedup_over(self, other: Times) -> float:
        """How many times faster than `other`: the median over the turns of their ratio."""
        return float(np.median(np.divide(other.wall, self.wall)))


def in_turns(
    calls: Mapping[str, Callable[[], object]], turns: int, warm_up: int = 1, device: torch.device = CPU
) -> dict[str, Times]:
    """Time every call once a turn, until the device has done it; each turn starts with another call, so that none
    always follows the same one."""
    for call in calls.values():
        for _ in range(warm_up):
            call()
    synchronise(device)
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(turns):
        gc.collect()  # else one contestant pays for another's garbage
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            wall, cpu = time.perf_counter(), time.process_time()
            calls[name]()
            synchronise(device)
            runs[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: Times(*zip(*pairs, strict=True)) for name, pairs in runs.items()}


def conv_peak(precision: str, quick: bool = False, device: torch.device = CPU) -> float:
    """MACs a second of a device: the best of several forwards of a large 3x3 convolution, with the threads that
    torch has now. The better of both memory formats counts, and on one thread of a CPU the processor's seconds."""
    channels, side, runs = (32, 32, 2) if quick else (256, 64, 10)
    batch = 4 if device.type == "cpu" else 64  # enough to fill a GPU
    image = torch.rand(batch, channels, side, side, dtype=PRECISIONS[precision], device=device)
    weight = torch.rand(channels, channels, 3, 3, dtype=PRECISIONS[precision], device=device)
    calls = {}
    for memory in (torch.contiguous_format, torch.channels_last):
        x, w = image.to(memory_format=memory), weight.to(memory_format=memory)
        calls[str(memory)] = lambda x=x, w=w: F.conv2d(x, w, padding=1)
    with torch.inference_mode():
        times = in_turns(calls, runs, 2, device).values()
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        best = min(min(own.cpu if alone else own.wall) for own in times)
    return batch * side**2 * channels**2 * 9 / best


def macs(call: Callable[[], object]) -> int:
    """Multiply-accumulates of the convolutions and matrix products that a call carries out, backwards included."""
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward_flops})
    with counter:
        call()
    return counter.get_total_flops() // 2


def _backward_flops(
    grad_out, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, wanted, **_
):
    """The gradients of a convolution by input and by weight cost what its forward does, each.

    torch's own formula forgets the groups of the gradient by weight, which makes depthwise ones look dense.
    """
    return conv_flop_count(x, weight, grad_out, transposed) * sum(wanted[:2])


def options(
    description: str, *, turns: int, threads: int, own: argparse.ArgumentParser | None = None
) -> argparse.Namespace:
    """The command line of a benchmark, with options of its `own`; sets torch's threads."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0], parents=[own] if own else [])
    parser.add_argument("--quick", action="store_true", help="tiny, 2 turns, 1 thread: checks that it runs")
    parser.add_argument("--turns", type=int, default=turns, help=f"runs of each contestant (default {turns})")
    parser.add_argument("--threads", type=int, default=threads, help=f"CPU threads (default {threads})")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="where the JSON goes")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.turns, chosen.threads = 2, 1
    torch.set_num_threads(chosen.threads)
    return chosen


def report(name: str, chosen: argparse.Namespace, rows: Sequence[Mapping[str, Any]], **facts: Any) -> Path:
    """Print the rows as a table and write them with all that is needed to judge them."""
    settings = {"quick": chosen.quick, "turns": chosen.turns, "threads": chosen.threads, **facts}
    sources = {path: hashlib.sha256((ROOT / path).read_bytes()).hexdigest() for path in _sources()}
    date = datetime.now(UTC)
    result = {
        "benchmark": name,
        "digest": hashlib.sha256(json.dumps([name, chosen.quick, sources]).encode()).hexdigest(),
        "commit": commit(),
        "date": date.isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "settings": settings,
        "rows": [dict(row) for row in rows],
    }
    for key, value in facts.items():
        print(f"{key}: {value}")
    print(table(rows))
    chosen.results.mkdir(parents=True, exist_ok=True)
    path = chosen.results / f"{name}-{date:%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(path)
    return path


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as aligned text; three significant digits; a dash where a row lacks a column."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns] + [[text(row.get(column)) for column in columns] for row in rows]
    wide = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, wide, strict=True))
        )
        for line in lines
    )


def figure(value: float) -> float:
    """Four significant digits: more would only pretend."""
    return float(f"{value:.4g}")


def machine() -> dict[str, Any]:
    """What the times depend on. `load` is the average of the last minute: well above 0 means a busy machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def text(value: Any) -> str:
    """A figure with three significant digits; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def _sources() -> list[str]:
    """Everything that is measured or measures, relative to the root."""
    return sorted(
        p.relative_to(ROOT).as_posix() for top in ("pocketgan", "benchmarks") for p in (ROOT / top).rglob("*.py")
    )


def commit() -> str | None:
    """The commit, with `-dirty` where files differ from it; none outside a git checkout."""
    try:
        described = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(described, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
