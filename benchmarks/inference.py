"""Latency of one image on each runtime, teachers beside compressed generators, in turns.

The reduction in MACs is a poor guess of the reduction in time: this says how much of it arrives. With `--forms`, it
says so of other ends and other ways of upsampling, on ONNX Runtime and, where it is installed, on OpenVINO, each as
wide as the demo's budget allows; of some also with their head exported as it is (see `deploy.narrow`).

With `--model` trained networks instead, in 32, 16 and 8 bits on every runtime that has them: size of the file
beside that in 32 bits, PSNR to PyTorch on images of `--data`, and time beside its own 32 bits, the first one's, and
those of `--teacher`, whose weights are random.

Times on one thread are those that the processor spent, which hold on a busy machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import measure
import numpy as np
import onnxruntime
import torch

from pocketgan.api.verbs import selection_of
from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.runtimes import runtime_named, runtimes_by_format
from pocketgan.deploy.ship import export_verified
from pocketgan.elastic.cost import CostModel, cost
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
#: of `--forms`: the teacher, the most MACs (papers' convention) at 96 pixels, ends, ways up
TEACHER, BUDGET = "resnet:32", 166e6
ENDS, UPS = (7, 5, 3), ("transposed", "resize", "shuffle")
#: what else was tried, as norms that are folded away
FIXED = "norm=batch,separable_norm=batch"
TRIED = (
    "ends=3,padding=zero",
    "ends=3,norm=batch",
    FIXED,
    f"ends=3,{FIXED}",
    f"ends=3,padding=zero,{FIXED}",
)
#: how a model is called whose head is exported as it is
PLAIN = " (plain head)"


def forms(quick: bool) -> tuple[str, ...]:
    """The students of `--forms` as spec strings."""
    found = []
    every = [f"ends={ends},up={up}" for ends in ENDS for up in UPS]
    for fields in every[:1] if quick else (*every, *TRIED):
        spec = parse_spec(f"mobile-resnet:1,input_skip=true,{fields}")
        options = np.arange(1, 65)
        macs = CostModel(spec, 96)(np.repeat(options[:, None], len(spec.widths), 1)).macs
        widest = int(options[macs <= BUDGET][-1])
        found.append(f"mobile-resnet:{4 if quick else widest},input_skip=true,{fields}")
    return tuple(found)


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


def on_openvino(path: Path, image: np.ndarray, threads: int) -> Callable[[], object]:
    served = runtime_named("openvino").load(path, threads)  # it reads ONNX files, too
    return lambda: served.run({"image": image})


@torch.inference_mode()
def size_rows(
    files: dict[str, Path],
    teachers: tuple[str, ...],
    size: int,
    turns: int,
    threads: int,
    peak: float,
    runtimes: tuple[str, ...] = ("torch", "onnxruntime"),
) -> list[dict[str, Any]]:
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, size, size)).astype(np.float32)
    ready: dict[str, Callable[[str, Path], Callable[[], object]]] = {
        "torch": lambda model, path: on_torch(model, image),
        "onnxruntime": lambda model, path: on_onnxruntime(path, image, threads),
        "openvino": lambda model, path: on_openvino(path, image, threads),
    }
    calls = {(runtime, model): ready[runtime](model, path) for runtime in runtimes for model, path in files.items()}
    times = measure.in_turns(calls, turns, warm_up=2)
    if threads == 1:
        times = {name: dataclasses.replace(own, wall=own.cpu) for name, own in times.items()}
    rows = []
    for (runtime, model), own in times.items():
        costs = cost(parse_spec(model.removesuffix(PLAIN)), size)
        true_macs = costs["true_macs"]
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
                "papers_gmacs": measure.figure(costs["macs"] / 1e9),
                "gmacs_per_second": measure.figure(true_macs / own.median / 1e9),
                "share_of_peak": measure.figure(true_macs / own.median / peak),
            }
        )
    return rows


def precision_rows(
    models: list[str], teacher: str | None, data: Path | None, size: int, turns: int, folder: Path
) -> list[dict[str, Any]]:
    """Trained networks in every precision of every runtime that has more than one, all in turns."""
    rows: list[dict[str, Any]] = []
    calls: dict[tuple[str, str, str], Callable[[], object]] = {}
    for number, model in enumerate(models):
        found = find_model(model)
        images = selection_of(model, found, (size, size), data)
        for runtime in runtimes_by_format().values():
            if not runtime.installed or len(runtime.precisions) == 1:
                continue
            for precision in runtime.precisions:
                file = folder / f"{number}-{precision}{runtime.suffix}"
                how = export_verified(found.network, size, file, images, runtime=runtime.name, precision=precision)
                whole = runtime.bytes_of(folder / f"{number}-fp32{runtime.suffix}")
                row = {"model": model, "runtime": runtime.name, "precision": precision, "size": size}
                row |= {"bytes": runtime.bytes_of(file), "of_fp32": measure.figure(runtime.bytes_of(file) / whole)}
                rows.append({**row, "psnr": measure.figure(min(how.psnr, 999.0)), "images": how.images})
                calls[model, runtime.name, precision] = runtime.ready(file, (size, size), 1)
    for name in {row["runtime"] for row in rows} if teacher else ():
        runtime = runtime_named(name)
        assert runtime.export, "the runtime has files"
        file = folder / f"teacher{runtime.suffix}"
        runtime.export(find_model(teacher).network, (size, size), file)
        calls["teacher", name, "fp32"] = runtime.ready(file, (size, size), 1)
    times = measure.in_turns(calls, turns, warm_up=2)
    for row in rows:
        own = times[row["model"], row["runtime"], row["precision"]]
        row["cpu_ms"] = measure.figure(own.cpu_median * 1e3)
        others = {"fp32": row["model"], "first_fp32": models[0], **({"teacher": "teacher"} if teacher else {})}
        for name, model in others.items():
            whole = times[model, row["runtime"], "fp32"]
            row[f"speedup_over_{name}"] = measure.figure(float(np.median(np.divide(whole.cpu, own.cpu))))
    return [{**row, "model": Path(row["model"]).name} for row in rows]


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--forms", action="store_true", help="other ends and ways of upsampling")
    own.add_argument("--model", nargs="+", help="trained networks, in every precision instead")
    own.add_argument("--teacher", help="the spec of what they are to be quicker than")
    own.add_argument("--data", type=Path, help="its images; default those of the run")
    chosen = measure.options(__doc__, turns=11, threads=1, own=own)
    if chosen.model:
        size = 64 if chosen.quick else 256
        with tempfile.TemporaryDirectory() as folder:
            rows = precision_rows(chosen.model, chosen.teacher, chosen.data, size, chosen.turns, Path(folder))
        named = [*chosen.model, *([chosen.teacher] if chosen.teacher else [])]
        costs = [cost(find_model(model).spec, 256) for model in named]
        figures = {
            key: [measure.figure(each[name] / 1e9) for each in costs]
            for key, name in (("gmacs", "true_macs"), ("papers_gmacs", "macs"))
        }
        measure.report("inference", chosen, rows, models=[Path(model).name for model in named], **figures)
        return
    teachers, students = (("resnet:4",), ("mobile-resnet:4",)) if chosen.quick else (TEACHERS, STUDENTS)
    sizes: tuple[int, ...] = (32,) if chosen.quick else (128, 256)
    more: dict[str, Any] = {}
    if chosen.forms:
        teachers, students = (teachers[0] if chosen.quick else TEACHER,), forms(chosen.quick)
        here = [name for name in ("onnxruntime", "openvino") if runtime_named(name).installed]
        sizes, more = sizes[-1:], {"runtimes": tuple(here)}
    peak = measure.conv_peak("fp32", chosen.quick)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {model: Path(folder) / f"{number}.onnx" for number, model in enumerate(teachers + students)}
        for model, path in files.items():
            export_onnx(find_model(model).network, sizes[0], path)
            if chosen.forms and (model in teachers or ("up=transposed" in model and "ends=3" not in model)):
                with patch("pocketgan.deploy.onnx.widen_narrow"):
                    export_onnx(find_model(model).network, sizes[0], path.with_suffix(".plain.onnx"))
        if chosen.forms:
            plain = {f"{model}{PLAIN}": path.with_suffix(".plain.onnx") for model, path in files.items()}
            files |= {model: path for model, path in plain.items() if path.exists()}
        for size in sizes:
            rows += size_rows(files, teachers, size, chosen.turns, chosen.threads, peak, **more)
    facts = {"forms": True} if chosen.forms else {}
    measure.report("inference", chosen, rows, peak_gmacs_per_second=measure.figure(peak / 1e9), **facts)


if __name__ == "__main__":
    main()
