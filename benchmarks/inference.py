"""Latency of one image on each runtime, teachers beside compressed generators, in turns.

The reduction in MACs is a poor guess of the reduction in time: this says how much of it arrives.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
import onnxruntime
import torch

from pocketgan.deploy.onnx import export_onnx
from pocketgan.elastic.cost import cost
from pocketgan.models import find_model
from pocketgan.networks import parse_spec

TEACHERS = ("resnet:64", "resnet:32")
STUDENTS = (
    "mobile-resnet:64",
    "mobile-resnet:32_32_48_32_48_48_16_16",
    "mobile-resnet:32",
    "mobile-resnet:24_16_24_16_24_16_16_8",
    "mobile-resnet:8",
)


def on_torch(model: str, image: np.ndarray) -> Callable[[], object]:
    network, tensor = find_model(model).network, torch.from_numpy(image)
    return lambda: network(tensor)


def on_onnxruntime(path: Path, image: np.ndarray, threads: int) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # otherwise the idle threads of one session would spin through the turn of the next
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {session.get_inputs()[0].name: image})


@torch.inference_mode()
def size_rows(
    files: dict[str, Path], teachers: tuple[str, ...], size: int, turns: int, threads: int, peak: float
) -> list[dict[str, Any]]:
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, size, size)).astype(np.float32)
    calls = {("torch", model): on_torch(model, image) for model in files}
    calls |= {("onnxruntime", model): on_onnxruntime(path, image, threads) for model, path in files.items()}
    times = measure.in_turns(calls, turns, warm_up=2)
    rows = []
    for (runtime, model), own in times.items():
        true_macs = cost(parse_spec(model), size)["true_macs"]
        rows.append(
            {
                "model": model,
                "runtime": runtime,
                "size": size,
                "median_ms": measure.figure(own.median * 1e3),
                "quartiles_ms": [measure.figure(t * 1e3) for t in own.quartiles],
                **{
                    f"speedup_over_{teacher}": measure.figure(own.speedup_over(times[runtime, teacher]))
                    for teacher in teachers
                },
                "gmacs": measure.figure(true_macs / 1e9),
                "gmacs_per_second": measure.figure(true_macs / own.median / 1e9),
                "share_of_peak": measure.figure(true_macs / own.median / peak),
            }
        )
    return rows


def main() -> None:
    chosen = measure.options(__doc__, turns=11, threads=1)
    teachers, students = (("resnet:4",), ("mobile-resnet:4",)) if chosen.quick else (TEACHERS, STUDENTS)
    sizes = (32,) if chosen.quick else (128, 256)
    peak = measure.conv_peak("fp32", chosen.quick)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {model: Path(folder) / f"{number}.onnx" for number, model in enumerate(teachers + students)}
        for model, path in files.items():
            export_onnx(find_model(model).network, sizes[0], path)
        for size in sizes:
            rows += size_rows(files, teachers, size, chosen.turns, chosen.threads, peak)
    measure.report("inference", chosen, rows, peak_gmacs_per_second=measure.figure(peak / 1e9))


if __name__ == "__main__":
    main()
