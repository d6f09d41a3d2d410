"""ExecuTorch with XNNPACK: a .pte file for phones and small boards, of one size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketgan.deploy.onnx import quiet
from pocketgan.deploy.rewrites import plain_operations
from pocketgan.deploy.runtimes.torch_export import program_of
from pocketgan.deploy.serving import Precision, Served, ServingRuntime
from pocketgan.units import Size


def version() -> str:
    from importlib.metadata import version as of

    return f"executorch {of('executorch')}"


def load(path: Path, threads: int) -> Served:
    # Its public module imports the compiler too, of which loading needs nothing: eight seconds and pages of notes.
    from executorch.extension.pybindings import _portable_lib

    with _hushed(), quiet():
        _portable_lib._unsafe_reset_threadpool(threads)
        module: Any = _portable_lib._load_for_executorch(str(path))
    meta = module.method_meta("forward")
    shapes = [tuple(meta.input_tensor_meta(i).sizes()) for i in range(meta.num_inputs())]
    names = ("image", "style")[: len(shapes)]
    return Served(
        dict(zip(names, shapes, strict=True)),
        lambda feed: module.forward([torch.from_numpy(feed[name]) for name in names])[0].numpy(),
    )


def export(
    network: nn.Module,
    size: Size,
    path: Path,
    *,
    precision: Precision = "fp32",
    fixed: bool = False,
    images: Tensor | None = None,
) -> None:
    """Always of one image of `size`: XNNPACK plans its memory ahead."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = program_of(network, size, fixed=True).run_decompositions(plain_operations())
        made = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    path.write_bytes(made.buffer)


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the notes that its libraries write to standard error past Python; `quiet` is for those through it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


RUNTIME = ServingRuntime(
    name="executorch",
    version=version,
    load=load,
    format="executorch",
    suffix=".pte",
    export=export,
    package=("executorch", "executorch"),
)
