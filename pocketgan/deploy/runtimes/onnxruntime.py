"""ONNX Runtime on the CPU: one ONNX file for servers, phones and browsers."""

from __future__ import annotations

from pathlib import Path

from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.serving import Served, ServingRuntime


def version() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def load(path: Path, threads: int) -> Served:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised: no need to print them too
    # Otherwise the idle threads of one session would spin through the turn of the next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {
        each.name: tuple(length if isinstance(length, int) else None for length in each.shape)
        for each in session.get_inputs()
    }
    return Served(inputs, lambda feed: session.run(None, dict(feed))[0])


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
    precisions=("fp32", "fp16", "int8"),
)
