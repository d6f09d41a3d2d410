"""An exported PyTorch program (.pt2): needs no code of this package where it runs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from pocketgan.deploy.fold import fold_norms
from pocketgan.deploy.inputs import example_inputs, shipped, stride_of
from pocketgan.deploy.onnx import quiet
from pocketgan.deploy.runtimes.torch import of_arrays, version
from pocketgan.deploy.serving import Precision, Served, ServingRuntime
from pocketgan.units import Size


def program_of(network: nn.Module, size: Size, *, fixed: bool) -> torch.export.ExportedProgram:
    """The network's operations, norms of fixed statistics folded away; sides open as multiples of its stride,
    unless `fixed` or it needs its own."""
    network, stride = shipped(network), stride_of(network)
    fold_norms(network)
    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))
    beyond = (size[0] + stride, size[1] + 2 * stride)
    if not fixed:
        image, *more = example_inputs(network, 2, beyond).items()
        open_sides = ({0: batch, 2: stride * rows, 3: stride * columns}, *({0: batch} for _ in more))
        try:
            with quiet():
                program = torch.export.export(network, (image[1],), dict(more), dynamic_shapes=open_sides)
                image, *more = example_inputs(network, 1, size).items()
                program.module()(image[1], **dict(more))  # what was traced at other sides may refuse its own
            return program
        except Exception:
            pass  # it needs the size that it is given
    image, *more = example_inputs(network, 1, size).items()
    with quiet():
        return torch.export.export(network, (image[1],), dict(more))


def load(path: Path, threads: int) -> Served:
    program = torch.export.load(path)
    names = program.graph_signature.user_inputs
    shapes = {node.name: node.meta["val"].shape for node in program.graph.nodes if node.name in names}
    inputs = {
        name: tuple(length if isinstance(length, int) else None for length in shapes[each])
        for name, each in zip(("image", *program.call_spec.in_spec.child(1).context), names, strict=True)
    }
    return Served(inputs, of_arrays(program.module(), threads))


def export(
    network: nn.Module,
    size: Size,
    path: Path,
    *,
    precision: Precision = "fp32",
    fixed: bool = False,
    images: Tensor | None = None,
) -> None:
    torch.export.save(program_of(network, size, fixed=fixed), path)


RUNTIME = ServingRuntime(
    name="torch-export",
    version=version,
    load=load,
    format="torch",
    suffix=".pt2",
    export=export,
    programs=True,  # pickles, names of functions and formulas in it are evaluated
)
