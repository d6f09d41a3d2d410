"""CoreML for macOS and iOS: an .mlpackage, a folder, of one size.

It is written anywhere, and runs on macOS alone. Elsewhere the operations that the file holds, with its weights, are
read back and computed by PyTorch, for the comparison: that finds what a conversion did wrong, and not what CoreML's
own arithmetic does.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketgan.deploy.mil import computed
from pocketgan.deploy.onnx import quiet
from pocketgan.deploy.rewrites import plain_operations, upsample_nearest2d
from pocketgan.deploy.runtimes.torch_export import program_of
from pocketgan.deploy.serving import Precision, Served, ServingRuntime
from pocketgan.units import Size


def version() -> str:
    from importlib.metadata import version as of

    return f"coremltools {of('coremltools')}"


def load(path: Path, threads: int) -> Served:
    """CoreML chooses its threads by itself."""
    with quiet():
        import coremltools

        model = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit.CPU_ONLY)
    return Served(_inputs(model), lambda feed: model.predict(dict(feed))["image_out"])


def replay(path: Path, threads: int) -> Served:
    with quiet():
        import coremltools
        from coremltools.converters.mil.frontend.milproto.load import load as read

        model = coremltools.models.MLModel(str(path), skip_model_load=True)
        spec = model.get_spec()
        program = read(spec, spec.specificationVersion, model.weights_dir)

    def run(feed: Mapping[str, np.ndarray]) -> np.ndarray:
        return computed(
            program.functions["main"], {name: torch.from_numpy(each) for name, each in feed.items()}
        ).numpy()

    return Served(_inputs(model), run)


def _inputs(model: Any) -> dict[str, tuple[int | None, ...]]:
    return {each.name: tuple(each.type.multiArrayType.shape) for each in model.get_spec().description.input}


def export(
    network: nn.Module,
    size: Size,
    path: Path,
    *,
    precision: Precision = "fp32",
    fixed: bool = False,
    images: Tensor | None = None,
) -> None:
    """Always of one image of `size`, in 32 bits."""
    with quiet():
        import coremltools

        program = program_of(network, size, fixed=True)
        # what it makes smaller by the nearest pixel takes other pixels than PyTorch
        smaller: Any = {torch.ops.aten.upsample_nearest2d.vec: upsample_nearest2d}
        try:
            made = _converted(program.run_decompositions(smaller))
        except ValueError:  # its norm takes constants alone, and a style is none
            made = _converted(program.run_decompositions(smaller | plain_operations()))
        spec = made.get_spec()
        for feature, name in ((spec.description.input, "image"), (spec.description.output, "image_out")):
            coremltools.utils.rename_feature(spec, feature[0].name, name)
        model = coremltools.models.MLModel(spec, weights_dir=made.weights_dir, skip_model_load=True)
        model.save(str(path))


def _converted(program: torch.export.ExportedProgram) -> Any:
    import coremltools

    return coremltools.convert(
        program,
        convert_to="mlprogram",
        compute_precision=coremltools.precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS15,
        skip_model_load=True,
    )


RUNTIME = ServingRuntime(
    name="coreml",
    version=version,
    load=load,
    format="coreml",
    suffix=".mlpackage",
    folder=True,
    export=export,
    package=("coremltools", "coreml"),
    elsewhere="" if sys.platform == "darwin" else "CoreML runs on macOS",
    replay=replay,
)
