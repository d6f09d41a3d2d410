"""Convolutions in 8 bits: ONNX files with quantised weights and activations, calibrated on real images.

Weights are symmetric with a scale for each channel, activations have one scale and zero point for each tensor, from
the range that they have in an image, in the mean over the calibration images. Norms and all else stay in 32 bits.
Where the picture is further off than allowed, single convolutions go back to 32 bits, those first that do most harm
when they alone are quantised. A bias that a norm takes away again is left out.

What a convolution gives is rounded to 8 bits again only where the runtime needs that: ONNX Runtime computes a
convolution in 8 bits only if its result is in 8 bits, and a transposed one never. A norm after it makes the loss
greater: of each channel it blows up what is left of the range of all.

OpenVINO computes a transposed convolution in 8 bits only where the zero point of its input is zero, so there signed
activations are symmetric; and it pads in 8 bits what has been rounded before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pocketgan.deploy.graph import compact
from pocketgan.errors import PocketGANError

KINDS = ("Conv", "ConvTranspose")
#: files are compared on so many of the images
COMPARED = 4


def quantise(
    path: Path, images: Sequence[Mapping[str, np.ndarray]], least_psnr: float, *, results: bool = True
) -> list[str]:
    """Quantise an ONNX file in place; returns the names of the convolutions that stayed in 32 bits.

    Args:
        images: inputs of single images for the calibration; the files are compared on the first of them.
        least_psnr: how near the quantised file must come to the file as it was, in dB.
        results: whether results of convolutions are in 8 bits too, as ONNX Runtime needs it.

    Raises PocketGANError where not even one convolution can be quantised within the bound.
    """
    import onnx

    model = onnx.load(path)
    drop_biases(model.graph)
    layers = [node.name for node in model.graph.node if node.op_type in KINDS]
    ranges = _ranges(path, images)
    compared = [*images[:COMPARED]]
    expected = _pictures(path, compared)

    with TemporaryDirectory() as folder:
        file = Path(folder) / "quantised.onnx"

        def psnr(chosen: Sequence[str]) -> float:
            _write(model, chosen, ranges, file, results)
            return _psnr(_pictures(file, compared), expected)

        kept = list(layers)
        if kept and psnr(kept) < least_psnr:
            for layer in sorted(layers, key=lambda each: psnr([each])):  # most harm first
                kept.remove(layer)
                if kept and psnr(kept) >= least_psnr:
                    break
        if not kept:
            raise PocketGANError(
                f"a file in 8 bits must come within {least_psnr:g} dB of its network, and with no convolution of "
                f"this one does it; keep it in 32 or 16 bits"
            )
        path.write_bytes(file.read_bytes())
    return [layer for layer in layers if layer not in kept]


def _ranges(path: Path, images: Sequence[Mapping[str, np.ndarray]]) -> Any:
    """What values each tensor takes in an image, least and largest, in the mean over the images."""
    from onnxruntime.quantization.calibrate import CalibrationDataReader, create_calibrator

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows: Iterator[Mapping[str, np.ndarray]] = iter(images)

        def get_next(self) -> Mapping[str, np.ndarray] | None:
            return next(self.rows, None)

    with TemporaryDirectory() as folder:
        augmented = str(Path(folder) / "augmented.onnx")
        calibrator = create_calibrator(path, list(KINDS), augmented, extra_options={"moving_average": True})
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def drop_biases(graph: Any) -> None:
    """Without those of convolutions whose results go to instance norms alone, which take away what is the same all
    over a channel."""
    users: dict[str, list[str]] = {output.name: [""] for output in graph.output}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node.op_type)
    for node in graph.node:
        normed = set(users.get(node.output[0], ())) == {"InstanceNormalization"}
        if node.op_type in KINDS and len(node.input) == 3 and normed:
            del node.input[2]


def _write(model: Any, layers: Sequence[str], ranges: Any, path: Path, results: bool) -> None:
    """The model with these convolutions quantised, and their results where `results` says so."""
    import copy

    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    taken = {node.input[0] for node in model.graph.node if node.name in layers}
    signed = set() if results else {name for name in taken if ranges[name].range_value[0] < 0}
    quantiser = QDQQuantizer(
        copy.deepcopy(model),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=list(layers),
        nodes_to_exclude=[],
        op_types_to_quantize=list(KINDS),
        extra_options={
            "DedicatedQDQPair": False,
            "OpTypesToExcludeOutputQuantization": ["ConvTranspose"] if results else [*KINDS],
            "TensorQuantOverrides": {
                name: [{"quant_type": QuantType.QInt8, "symmetric": True}] for name in sorted(signed)
            },
        },
    )
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        quantiser.quantize_model()
    finally:
        logging.disable(level)
    if not results:
        round_before_padding(quantiser.model.model.graph)
    quantiser.model.topological_sort()
    made = quantiser.model.model
    compact(made)
    onnx.save(made, path)


def round_before_padding(graph: Any) -> None:
    """What was padded and then rounded is rounded and then padded, with the same result: padding repeats values, or
    adds zeros, which rounding keeps."""
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for rounded in graph.node:
        pad = pads.get(rounded.input[0]) if rounded.op_type == "QuantizeLinear" else None
        if pad is not None and len(users[pad.output[0]]) == 1:
            (back,) = users[rounded.output[0]]
            rounded.input[0] = pad.input[0]
            pad.output[0], back.output[0] = back.output[0], pad.output[0]
            pad.input[0] = back.output[0]


def _pictures(path: Path, images: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    from pocketgan.deploy.runtimes import runtime_named

    served = runtime_named("onnxruntime").load(path, 1)
    return np.concatenate([served.run(image) for image in images])


def _psnr(made: np.ndarray, expected: np.ndarray) -> float:
    mean = float(np.mean((made - expected).astype(np.float64) ** 2))
    return float("inf") if mean == 0 else float(10 * np.log10(4 / mean))
