"""OpenVINO on the CPU: an ONNX export converted to its own files, an .xml with a .bin beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor, nn

from pocketgan.deploy.graph import layer_names
from pocketgan.deploy.latency import WARM_UP
from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.serving import LayerTime, Precision, Served, ServingRuntime
from pocketgan.units import Size


def version() -> str:
    from openvino import get_version

    return f"openvino {get_version().split('-')[0]}"


def load(path: Path, threads: int) -> Served:
    network = _compiled(path, threads)
    inputs = {
        each.get_any_name(): tuple(None if n.is_dynamic else n.get_length() for n in each.get_partial_shape())
        for each in network.inputs
    }
    return Served(inputs, lambda feed: network(dict(feed))[0])


def layers(path: Path, feed: Mapping[str, np.ndarray], threads: int, runs: int) -> list[LayerTime]:
    """As OpenVINO's counters say, in the order of the run; what it has fused or folded away took no time."""
    network = _compiled(path, threads, PERF_COUNT=True)
    request = network.create_infer_request()
    times: dict[str, list[float]] = {}
    kinds = {}
    for run in range(WARM_UP + runs):
        request.infer(dict(feed))
        for each in request.profiling_info if run >= WARM_UP else ():
            if each.status == each.Status.EXECUTED:
                times.setdefault(each.node_name, []).append(each.real_time.total_seconds() * 1e3)
                kinds[each.node_name] = each.node_type
    shapes = {  # known when it has run
        op.get_friendly_name(): op.get_output_partial_shape(0)
        for op in network.get_runtime_model().get_ordered_ops()
        if op.get_output_size()
    }
    return [
        LayerTime(name.removeprefix("node_"), kinds[name], _lengths(shapes.get(name)), median(own))
        for name, own in times.items()
    ]


def _lengths(shape: Any) -> tuple[int, ...]:
    return () if shape is None or shape.is_dynamic else tuple(shape.to_shape())


def _compiled(path: Path, threads: int, **more: Any) -> Any:
    """Computes in 32 bits: by itself it would take bfloat16 where the processor has it, and be far off."""
    import openvino

    core: Any = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(core.read_model(path), "CPU", settings | more)


def export(
    network: nn.Module,
    size: Size,
    path: Path,
    *,
    precision: Precision = "fp32",
    fixed: bool = False,
    images: Tensor | None = None,
) -> None:
    import onnx
    import openvino

    with TemporaryDirectory() as folder:
        file, own = Path(folder) / "model.onnx", precision if precision == "int8" else "fp32"
        export_onnx(network, size, file, precision=own, fixed=fixed, images=images, results=False)
        held = onnx.load(file)
        names = layer_names(held)
        for node in held.graph.node:
            node.name = names.get(node.name, node.name)
        onnx.save(held, file)
        model = openvino.convert_model(file)
        _name_convolutions(model, set(names.values()))
        openvino.save_model(model, path, compress_to_fp16=precision == "fp16")


def _name_convolutions(model: Any, layers: set[str]) -> None:
    """A converted operation is several, of which the last one has its name; the convolution is what is measured."""
    for op in model.get_ordered_ops():
        if "Convolution" not in op.get_type_name():
            continue
        for target in op.output(0).get_target_inputs():
            after = target.get_node()
            if (name := after.get_friendly_name()) in layers:  # adds the bias
                after.set_friendly_name(f"{name}/bias")
                op.set_friendly_name(name)


def note(path: Path, key: str, text: str) -> None:
    import openvino

    core: Any = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # the file that it would look into is written anew
    model = core.read_model(path)
    model.set_rt_info(text, [key])
    openvino.serialize(model, path)


RUNTIME = ServingRuntime(
    name="openvino",
    version=version,
    load=load,
    format="openvino",
    suffix=".xml",
    beside=(".bin",),
    export=export,
    note=note,
    layers=layers,
    precisions=("fp32", "fp16", "int8"),
    package=("openvino", "openvino"),
)
