"""A network as one ONNX file, compared with the network before it is shipped."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.errors import OutputError, PocketGANError
from pocketgan.files import replacing
from pocketgan.networks import Generator
from pocketgan.units import Size, both_sides

# The lowest opset that the exporter writes: the most runtimes read it.
OPSET = 18
TOLERANCE = 1e-3


def export_onnx(network: nn.Module, size: int | Size, path: Path, *, opset: int = OPSET) -> None:
    """Write ``network`` in eval mode to ``path``: one file, weights inside, whole or not at all.

    ``size`` is a side, or height and width. Input ``image`` (batch, channels, height, width) and output
    ``image_out`` are float32, images in [-1, 1], label maps 0 and 1. What a generator takes beside images (see
    ``Generator.draw``) are further inputs by their own names, as ``style`` (batch, 8, 1, 1). Batch, height and
    width are left open in the file, the latter two as multiples of the generator's stride, or of 4 for any other
    module. A network that does not allow that gets an open batch of images of ``size``; one that fixes its batch
    too gets one. What is left open has been run at other values than it was traced with.

    Raises OutputError for a place that cannot be written, PocketGANError for a network that does not export.
    """
    with _replacing(path) as partial:
        _write(network, both_sides(size), partial, opset)


def verify_onnx(
    path: Path,
    network: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    *,
    tolerance: float = TOLERANCE,
) -> float:
    """Largest absolute difference between the file on ONNX Runtime (CPU) and ``network`` over ``images``.

    ``images`` are real ones in [-1, 1], or real label maps, run one by one; each gets a drawn style where the
    network takes one. Raises PocketGANError above ``tolerance``.
    """
    network = _shipped(network)
    inputs = _inputs(network, images.cpu())
    rows = [{name: each[i : i + 1] for name, each in inputs.items()} for i in range(len(images))]
    difference = max(_difference(path, network, row) for row in rows)
    if difference > tolerance:
        raise PocketGANError(
            f"an ONNX file must agree with its network within {tolerance:g}, and this one differs by "
            f"{difference:.2g}; try another opset, and do not ship this file"
        )
    return difference


def export_verified(
    network: nn.Module,
    size: int | Size,
    path: Path,
    images: Float[Tensor, "batch channels height width"] | None = None,
    *,
    opset: int = OPSET,
    tolerance: float = TOLERANCE,
) -> float:
    """``export_onnx`` and ``verify_onnx``: the file appears at ``path`` only if it passed.

    Without real ``images``, it is verified on two of noise: pixels in [-1, 1], or for label maps a class each.
    """
    size = both_sides(size)
    with _replacing(path) as partial:
        _write(network, size, partial, opset)
        return verify_onnx(
            partial, network, _noise(network, 2, size) if images is None else images, tolerance=tolerance
        )


def _write(network: nn.Module, size: Size, path: Path, opset: int) -> None:
    """The most open export that does at its probe's shape what the network does."""
    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))
    stride = network.spec.stride if isinstance(network, Generator) else 4
    beyond = (size[0] + stride, size[1] + 2 * stride)
    # What is open is traced at other values than the probe's, which would show if it had been fixed. Tracing costs
    # the same at any size, and takes a dimension of 1 (a U-Net's, of its smallest image) for a fixed one.
    attempts: tuple[tuple[dict[int, Any] | None, int, Size, int], ...] = (
        ({0: batch, 2: stride * rows, 3: stride * columns}, 2, beyond, 3),
        ({0: batch}, 2, size, 3),
        (None, 1, size, 1),
    )
    network = _shipped(network)
    failure: Exception | None = None
    for open_sides, traced, sides, probed in attempts:
        # Anything may go wrong in a network that is traced, and run at a size it was not made for; the
        # exporter itself lets pass shapes that fail at run time. The last attempt's error is the one to tell.
        try:
            example, probe = (
                _inputs(network, _noise(network, *shape)) for shape in ((traced, sides), (probed, size))
            )
            more = {name: each for name, each in example.items() if name != "image"}
            shapes = None if open_sides is None else (open_sides, *({0: batch} for _ in more))
            with _quiet():
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


def _noise(network: nn.Module, count: int, size: Size) -> Float[Tensor, "count channels height width"]:
    """Images that a generator can see, as its spec says; of another module, uniform in [-1, 1]."""
    rng = torch.Generator().manual_seed(0)
    if isinstance(network, Generator):
        return network.spec.example(count, size, rng)
    return torch.rand(count, 3, *size, generator=rng) * 2 - 1


def _inputs(network: nn.Module, images: Float[Tensor, "batch channels height width"]) -> dict[str, Tensor]:
    """The images, and what the network takes beside them, drawn for each; by the names of the file's inputs."""
    rng = torch.Generator().manual_seed(0)
    return {"image": images, **(network.draw(len(images), rng) if isinstance(network, Generator) else {})}


@torch.inference_mode()
def _difference(path: Path, network: nn.Module, inputs: dict[str, Tensor]) -> float:
    """Largest absolute difference between file and network on one batch; infinite where one is NaN."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised: no need to print them too
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {name: each.numpy() for name, each in inputs.items()})
    expected = network(inputs["image"], **{name: each for name, each in inputs.items() if name != "image"})
    if output.shape != tuple(expected.shape):
        return float("inf")
    return float((torch.from_numpy(output) - expected).abs().nan_to_num(torch.inf).max())


def _shipped(network: nn.Module) -> nn.Module:
    """A copy on the CPU, in eval mode: the caller's network is left as it is."""
    return copy.deepcopy(network).cpu().float().eval()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it becomes ``path`` at the end, or disappears on failure."""
    if path.exists() and not path.is_file():
        raise OutputError(f"'{path}' is no file that an ONNX file could replace; choose another place")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, shared=True) as part:
            yield part
    except OSError as error:
        raise OutputError(
            f"an ONNX file needs a place that can be written, and '{path}' is none ({error.strerror}); "
            "choose another"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's housekeeping, and its reports on attempts that fail as foreseen."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
