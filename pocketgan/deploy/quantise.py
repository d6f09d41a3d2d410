"""Convolutions in 8 bits: ONNX files with quantised weights and activations, calibrated on real images.

Weights are symmetric with a scale for each channel, activations have one scale and zero point for each tensor, from
the range that they had over the calibration images. The first and the last convolution, norms and all else stay in
32 bits: they cost little, and there the loss is greatest. Where the picture is still further off than allowed,
single convolutions go back to 32 bits, those first that do most harm when they alone are quantised.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pocketgan.errors import PocketGANError

KINDS = ("Conv", "ConvTranspose")
#: files are compared on so many of the images
COMPARED = 4


def quantise(path: Path, images: Sequence[Mapping[str, np.ndarray]], least_psnr: float) -> list[str]:
    """Quantise an ONNX file in place; returns the names of the convolutions that stayed in 32 bits.

    Args:
        images: inputs of single images for the calibration; the files are compared on the first of them.
        least_psnr: how near the quantised file must come to the file as it was, in dB.

    Raises PocketGANError where not even one convolution can be quantised within the bound.
    """
    import onnx

    model = onnx.load(path)
    layers = [node.name for node in model.graph.node if node.op_type in KINDS]
    inner = layers[1:-1]
    ranges = _ranges(path, images)
    compared = [*images[:COMPARED]]
    expected = _pictures(path, compared)

    with TemporaryDirectory() as folder:
        file = Path(folder) / "quantised.onnx"

        def psnr(chosen: Sequence[str]) -> float:
            _write(model, chosen, ranges, file)
            return _psnr(_pictures(file, compared), expected)

        kept = list(inner)
        if kept and psnr(kept) < least_psnr:
            for layer in sorted(inner, key=lambda each: psnr([each])):  # most harm first
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
    """What values each tensor takes over the images."""
    from onnxruntime.quantization.calibrate import CalibrationDataReader, create_calibrator

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows: Iterator[Mapping[str, np.ndarray]] = iter(images)

        def get_next(self) -> Mapping[str, np.ndarray] | None:
            return next(self.rows, None)

    with TemporaryDirectory() as folder:
        calibrator = create_calibrator(path, list(KINDS), str(Path(folder) / "augmented.onnx"))
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def _write(model: Any, layers: Sequence[str], ranges: Any, path: Path) -> None:
    """The model with these convolutions quantised."""
    import copy

    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

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
        extra_options={"DedicatedQDQPair": False},
    )
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        quantiser.quantize_model()
    finally:
        logging.disable(level)
    onnx.save(quantiser.model.model, path)


def _pictures(path: Path, images: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    from pocketgan.deploy.runtimes import runtime_named

    served = runtime_named("onnxruntime").load(path, 1)
    return np.concatenate([served.run(image) for image in images])


def _psnr(made: np.ndarray, expected: np.ndarray) -> float:
    mean = float(np.mean((made - expected).astype(np.float64) ** 2))
    return float("inf") if mean == 0 else float(10 * np.log10(4 / mean))
