"""ONNX Runtime on the CPU: one ONNX file for servers, phones and browsers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pocketgan.deploy.graph import layer_names
from pocketgan.deploy.latency import WARM_UP
from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.onnx_pieces import session_options
from pocketgan.deploy.onnx_steps import steps_of_file
from pocketgan.deploy.serving import LayerTime, Served, ServingRuntime


def version() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def load(path: Path, threads: int) -> Served:
    session = _session(path, session_options(threads))
    inputs = {
        each.name: tuple(length if isinstance(length, int) else None for length in each.shape)
        for each in session.get_inputs()
    }
    return Served(
        inputs,
        lambda feed: session.run(None, dict(feed))[0],
        lambda size: steps_of_file(path, size, threads),
    )


def layers(path: Path, feed: Mapping[str, np.ndarray], threads: int, runs: int) -> list[LayerTime]:
    """As ONNX Runtime's profiler says, in the order of the run."""
    import onnx

    options = session_options(threads)
    options.enable_profiling = True
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "layers")
        session = _session(path, options)
        for _ in range(WARM_UP + runs):
            session.run(None, dict(feed))
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[str, list[float]] = {}
    told: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            times.setdefault(event["name"], []).append(event["dur"] / 1e3)
            told[event["name"]] = event["args"]
    names = layer_names(onnx.load(path, load_external_data=False))
    return [
        LayerTime(
            _name(name.removesuffix("_kernel_time"), names),
            told[name]["op_name"],
            _shape(told[name]),
            median(own[-runs:]),
        )
        for name, own in times.items()
    ]


def _session(path: Path, options: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _name(own: str, names: Mapping[str, str]) -> str:
    """The name of a layer, or else that of an operation as it is in the file, or the runtime's."""
    plain = re.sub(r"_nchwc$|_token_\d+$", "", own)
    return names.get(own) or names.get(plain) or plain.removeprefix("node_")


def _shape(told: Mapping[str, Any]) -> tuple[int, ...]:
    """Of the first output: `[{"float": [1, 3, 64, 64]}]`."""
    first: dict[str, list[int]] = next(iter(told.get("output_type_shape", [])), {})
    return tuple(next(iter(first.values()), []))


def note(path: Path, key: str, text: str) -> None:
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {key: text})
    onnx.save(model, path)


def noted(path: Path, key: str) -> str | None:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        held = onnx.load(path, load_external_data=False).metadata_props
    except DecodeError:
        return None  # whoever loads it says what is wrong with it
    return next((each.value for each in held if each.key == key), None)


RUNTIME = ServingRuntime(
    name="onnxruntime",
    version=version,
    load=load,
    format="onnx",
    suffix=".onnx",
    export=export_onnx,
    note=note,
    noted=noted,
    layers=layers,
    precisions=("fp32", "fp16", "int8"),
)
