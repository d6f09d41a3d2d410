"""OpenVINO on the CPU: an ONNX export converted to its own files, an .xml with a .bin beside it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn

from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.serving import Precision, Served, ServingRuntime
from pocketgan.units import Size


def version() -> str:
    from openvino import get_version

    return f"openvino {get_version().split('-')[0]}"


def load(path: Path, threads: int) -> Served:
    """Computes in 32 bits: by itself it would take bfloat16 where the processor has it, and be far off."""
    import openvino

    core: Any = openvino.Core()
    network = core.compile_model(
        core.read_model(path),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"},
    )
    inputs = {
        each.get_any_name(): tuple(None if n.is_dynamic else n.get_length() for n in each.get_partial_shape())
        for each in network.inputs
    }
    return Served(inputs, lambda feed: network(dict(feed))[0])


def export(
    network: nn.Module,
    size: Size,
    path: Path,
    *,
    precision: Precision = "fp32",
    fixed: bool = False,
    images: Tensor | None = None,
) -> None:
    import openvino

    with TemporaryDirectory() as folder:
        file, own = Path(folder) / "model.onnx", precision if precision == "int8" else "fp32"
        export_onnx(network, size, file, precision=own, fixed=fixed, images=images)
        model = openvino.convert_model(file)
        openvino.save_model(model, path, compress_to_fp16=precision == "fp16")


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
    precisions=("fp32", "fp16", "int8"),
    package=("openvino", "openvino"),
)
