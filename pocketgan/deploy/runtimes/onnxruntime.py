"""ONNX Runtime on the CPU: one ONNX file for servers, phones and browsers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketgan.deploy.latency import numbers
from pocketgan.deploy.onnx import export_onnx, export_verified
from pocketgan.deploy.serving import Call, ServingRuntime
from pocketgan.errors import SpecError
from pocketgan.units import Size, size_text


def version() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def ready(path: Path, size: Size, threads: int) -> Call:
    """The first input of a file is its image; what else it takes (a style) is fed by its own name and shape."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised: no need to print them too
    # Otherwise the idle threads of one session would spin through the turn of the next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    fixed = inputs[0].shape[2:]
    if all(isinstance(side, int) for side in fixed) and tuple(fixed) != size:
        own = size_text(tuple(fixed))
        raise SpecError(
            f"'{path.name}' takes images of {own} pixels, and {size_text(size)} was asked for; measure it at {own}"
        )
    feed = {each.name: numbers(_one(each.shape, size if each is inputs[0] else ())) for each in inputs}
    return lambda: session.run(None, feed)


def _one(shape: Sequence[int | str], sides: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one example: `sides` as the last dimensions, 1 for any other that the file leaves open."""
    rest = shape[: len(shape) - len(sides)]
    return (*(length if isinstance(length, int) else 1 for length in rest), *sides)


RUNTIME = ServingRuntime(
    name="onnxruntime",
    version=version,
    ready=ready,
    format="onnx",
    suffix=".onnx",
    export=export_onnx,
    export_verified=export_verified,
)
