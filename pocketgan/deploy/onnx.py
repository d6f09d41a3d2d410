"""A network as one ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketgan.deploy.fold import fold_norms
from pocketgan.deploy.graph import of_any_size, with_half_weights
from pocketgan.deploy.inputs import example_inputs, shipped, stride_of, with_draws
from pocketgan.deploy.narrow import widen_narrow
from pocketgan.deploy.quantise import quantise
from pocketgan.deploy.serving import Precision
from pocketgan.errors import PocketGANError, SpecError
from pocketgan.files import replacing
from pocketgan.units import Size, both_sides

# The lowest opset that the exporter writes: the most runtimes read it.
OPSET = 18
#: the largest difference to the network that an export in 32 bits may have
TOLERANCE = 1e-3
#: how near a file in 8 bits must come to its network, in dB, and how much nearer where its layers are chosen: it is
#: compared once more, on other images and maybe in another runtime
LEAST_PSNR, MARGIN = 35.0, 1.0


def export_onnx(
    network: nn.Module,
    size: int | Size,
    path: Path,
    *,
    precision: Precision = "fp32",
    fixed: bool = False,
    images: Tensor | None = None,
    opset: int = OPSET,
    results: bool = True,
) -> None:
    """Write ``network`` in eval mode to ``path``: one file, weights inside, whole or not at all.

    ``size`` is a side, or height and width. Input ``image`` (batch, channels, height, width) and output
    ``image_out`` are float32, images in [-1, 1], label maps 0 and 1. What a generator takes beside images (see
    ``Generator.draw``) are further inputs by their own names, as ``style`` (batch, 8, 1, 1).

    Batch, height and width are left open in the file unless it is to be ``fixed`` to one image of ``size``. Sides
    that are no multiples of the generator's stride, or of 4 for any other module, are padded by reflection within
    the graph, and the picture is cut back. A network that does not allow that gets an open batch of images of
    ``size``; one that fixes its batch too gets one. What is left open has been run at other values than it was
    traced with. Norms of fixed statistics are folded into convolutions (see ``fold``), and a narrow head stands in
    a form that puts out the same and is quicker (see ``narrow``).

    ``images``, real ones, are what 8 bits are calibrated on; ``results``: of which values. See ``quantise``.

    Raises PocketGANError for a network that does not export, SpecError for 8 bits without ``images``.
    """
    with replacing(path, shared=True) as partial:
        own = shipped(network)
        fold_norms(own)
        widen_narrow(own)
        _write(own, both_sides(size), partial, fixed, opset)
        if precision == "fp16":
            with_half_weights(partial)
        elif precision == "int8":
            if images is None:
                raise SpecError("8 bits are calibrated on real images, and there are none; name some with --data")
            inputs = with_draws(shipped(network), images.cpu())
            rows = [{name: each[i : i + 1].numpy() for name, each in inputs.items()} for i in range(len(images))]
            quantise(partial, rows, LEAST_PSNR + MARGIN, results=results)


def _write(network: nn.Module, size: Size, path: Path, fixed: bool, opset: int) -> None:
    """The most open export that does at its probe's shape what the network does."""
    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))
    stride = stride_of(network)
    beyond = (size[0] + stride, size[1] + 2 * stride)
    # What is open is traced at other values than the probe's, which would show if it had been fixed. Tracing costs
    # the same at any size, and takes a dimension of 1 (a U-Net's, of its smallest image) for a fixed one.
    attempts: tuple[tuple[dict[int, Any] | None, int, Size, int], ...] = (
        ({0: batch, 2: stride * rows, 3: stride * columns}, 2, beyond, 3),
        ({0: batch}, 2, size, 3),
        (None, 1, size, 1),
    )
    failure: Exception | None = None
    for open_sides, traced, sides, probed in attempts[2:] if fixed else attempts:
        # Anything may go wrong in a network that is traced, and run at a size it was not made for; the
        # exporter itself lets pass shapes that fail at run time. The last attempt's error is the one to tell.
        try:
            example, probe = (example_inputs(network, *shape) for shape in ((traced, sides), (probed, size)))
            more = {name: each for name, each in example.items() if name != "image"}
            shapes = None if open_sides is None else (open_sides, *({0: batch} for _ in more))
            with quiet():
                program = torch.onnx.export(
                    network,
                    (example["image"],),
                    kwargs=more,
                    dynamo=True,
                    verbose=False,
                    opset_version=opset,
                    input_names=list(example),
                    output_names=["image_out"],
                    dynamic_shapes=shapes,
                )
            assert program is not None  # so it is without a file name
            # what the exporter notes there names folders of this machine, and differs from run to run
            graph: Any = program.model.graph
            for part in (graph, *graph.all_nodes()):
                part.metadata_props.clear()
            program.save(path, external_data=False)
            if open_sides and len(open_sides) > 1 and stride > 1:
                of_any_size(path, stride)
            if _difference(path, network, probe) <= TOLERANCE:
                return
            failure = None
        except OSError:
            raise
        except Exception as error:
            failure = error
    raise PocketGANError(
        f"an ONNX export needs operations that ONNX has, at {size[0]} x {size[1]} pixels, and "
        f"{type(network).__name__} gave none that runs as it does; deploy its safetensors instead"
    ) from failure


@torch.inference_mode()
def _difference(path: Path, network: nn.Module, inputs: dict[str, Tensor]) -> float:
    """Largest absolute difference between file and network on one batch; infinite where one is NaN."""
    from pocketgan.deploy.runtimes import runtime_named

    served = runtime_named("onnxruntime").load(path, 0)
    output = torch.from_numpy(served.run({name: each.numpy() for name, each in inputs.items()}))
    expected = network(inputs["image"], **{name: each for name, each in inputs.items() if name != "image"})
    if output.shape != expected.shape:
        return float("inf")
    return float((output - expected).abs().nan_to_num(torch.inf).max())


@contextmanager
def quiet() -> Iterator[None]:
    """Without an exporter's housekeeping, and its reports on attempts that fail as foreseen."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
