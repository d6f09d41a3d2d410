"""A network as one ONNX file, compared with the network before it is shipped."""

import copy
import logging
import os
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
from pocketgan.networks import Generator

# The lowest opset that the exporter writes: the most runtimes read it.
OPSET = 18
TOLERANCE = 1e-3


def export_onnx(network: nn.Module, size: int, path: Path, *, opset: int = OPSET) -> None:
    """Write ``network`` in eval mode to ``path``: one file, weights inside, whole or not at all.

    Input ``image`` (batch, 3, height, width) and output ``image_out`` are float32 in [-1, 1]. Batch, height
    and width are left open in the file, the latter two as multiples of 4. A network that does not allow that
    (a U-Net, whose depth needs larger multiples) gets an open batch of ``size`` x ``size`` pixels; one that
    fixes its batch too gets (1, 3, size, size). What is left open has been run at another size.

    Raises OutputError for a place that cannot be written, PocketGANError for a network that does not export.
    """
    with _replacing(path) as partial:
        _write(network, size, partial, opset)


def verify_onnx(
    path: Path,
    network: nn.Module,
    images: Float[Tensor, "batch 3 height width"],
    *,
    tolerance: float = TOLERANCE,
) -> float:
    """Largest absolute difference between the file on ONNX Runtime (CPU) and ``network`` over ``images``.

    ``images`` are real ones in [-1, 1], run one by one. Raises PocketGANError above ``tolerance``.
    """
    network = _shipped(network)
    difference = max(_difference(path, network, image) for image in images.cpu().unsqueeze(1))
    if difference > tolerance:
        raise PocketGANError(
            f"an ONNX file must agree with its network within {tolerance:g}, and this one differs by "
            f"{difference:.2g}; try another opset, and do not ship this file"
        )
    return difference


def export_verified(
    network: nn.Module,
    size: int,
    path: Path,
    images: Float[Tensor, "batch 3 height width"],
    *,
    opset: int = OPSET,
    tolerance: float = TOLERANCE,
) -> float:
    """``export_onnx`` and ``verify_onnx``: the file appears at ``path`` only if it passed."""
    with _replacing(path) as partial:
        _write(network, size, partial, opset)
        return verify_onnx(partial, network, images, tolerance=tolerance)


def _write(network: nn.Module, size: int, path: Path, opset: int) -> None:
    """The most open export that does at its probe's shape what the network does."""
    batch, height, width = (torch.export.Dim(name) for name in ("batch", "quarter_height", "quarter_width"))
    channels = network.spec.in_channels if isinstance(network, Generator) else 3
    attempts = (
        ({0: batch, 2: 4 * height, 3: 4 * width}, (3, channels, size + 4, size + 8)),
        ({0: batch}, (3, channels, size, size)),
        (None, (1, channels, size, size)),
    )
    network = _shipped(network)
    failure: Exception | None = None
    for shapes, probed in attempts:
        probe = torch.rand(probed, generator=torch.Generator().manual_seed(0)) * 2 - 1
        # Anything may go wrong in a network that is traced, and run at a size it was not made for; the
        # exporter itself lets pass shapes that fail at run time. The last attempt's error is the one to tell.
        try:
            with _quiet():
                with torch.no_grad():
                    network(probe)  # at once, where the network itself does not take this shape
                program = torch.onnx.export(
                    network,
                    # another batch than the probe's, which would show if it had been fixed
                    (torch.zeros(1 if shapes is None else 2, channels, size, size),),
                    dynamo=True,
                    verbose=False,
                    opset_version=opset,
                    input_names=["image"],
                    output_names=["image_out"],
                    dynamic_shapes=None if shapes is None else (shapes,),
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
        f"an ONNX export needs operations that ONNX has, at {size} x {size} pixels, and "
        f"{type(network).__name__} gave none that runs as it does; deploy its safetensors instead"
    ) from failure


@torch.inference_mode()
def _difference(path: Path, network: nn.Module, images: Float[Tensor, "batch 3 height width"]) -> float:
    """Largest absolute difference between file and network on one batch; infinite where one is NaN."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised: no need to print them too
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"image": images.numpy()})
    return float((torch.from_numpy(output) - network(images)).abs().nan_to_num(torch.inf).max())


def _shipped(network: nn.Module) -> nn.Module:
    """A copy on the CPU, in eval mode: the caller's network is left as it is."""
    return copy.deepcopy(network).cpu().float().eval()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it becomes ``path`` at the end, or disappears on failure."""
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    if path.exists() and not path.is_file():
        raise OutputError(f"'{path}' is no file that an ONNX file could replace; choose another place")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(
            f"an ONNX file needs a place that can be written, and '{path}' is none ({error.strerror}); "
            "choose another"
        ) from error
    finally:
        if path.parent.is_dir():
            partial.unlink(missing_ok=True)


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
