"""Convolutions in 8 bits: which, how near, and what happens where it is not near enough."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pocketgan.deploy import export_onnx, export_verified
from pocketgan.deploy.quantise import quantise
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.errors import PocketGANError, SpecError


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    middle = [layer for _ in range(3) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    up = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), *middle, up, nn.Conv2d(8, 3, 3, padding=1), nn.Tanh()
    )


@pytest.fixture(scope="module")
def images():
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "network.onnx"
    export_onnx(network, 16, path, fixed=True)
    return path


@pytest.fixture
def rows(images):
    return [{"image": image[None].numpy()} for image in images]


def weights_in_8_bits(path):
    return [
        each for each in onnx.load(path).graph.initializer if each.data_type == onnx.TensorProto.INT8 and each.dims
    ]


def pictures(path, rows):
    served = runtime_named("onnxruntime").load(path, 1)
    return np.concatenate([served.run(row) for row in rows])


def test_all_but_the_first_and_last(file, rows, tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(file.read_bytes())
    floating = quantise(path, rows, 20.0)
    layers = [node.name for node in onnx.load(file).graph.node if "Conv" in node.op_type]
    assert floating == [layers[0], layers[-1]]
    assert len(weights_in_8_bits(path)) >= 4
    difference = pictures(path, rows) - pictures(file, rows)
    assert 0 < np.sqrt((difference**2).mean()) < 0.2
    scales = [
        each for each in onnx.load(path).graph.initializer if each.name.endswith("_scale") and each.dims == [8]
    ]
    assert scales, "a scale for each channel"


def test_what_harms_most_goes_back_to_32_bits(file, rows, tmp_path, monkeypatch):
    """A bound between that of all layers and that of one."""
    path = tmp_path / "small.onnx"
    path.write_bytes(file.read_bytes())
    quantise(path, rows, 0.0)
    mean = ((pictures(path, rows) - pictures(file, rows)) ** 2).mean()
    reached = 10 * np.log10(4 / mean)
    path.write_bytes(file.read_bytes())
    floating = quantise(path, rows, float(reached) + 1)
    assert 2 < len(floating) < 6
    mean = ((pictures(path, rows) - pictures(file, rows)) ** 2).mean()
    assert 10 * np.log10(4 / mean) >= reached + 1
    path.write_bytes(before := file.read_bytes())
    with pytest.raises(PocketGANError, match="within 300 dB of its network, and with no convolution"):
        quantise(path, rows, 300.0)
    assert path.read_bytes() == before


def test_exports_in_8_bits(network, images, tmp_path):
    pytest.importorskip("openvino")
    for runtime, suffix in (("onnxruntime", ".onnx"), ("openvino", ".xml")):
        found = export_verified(
            network, 16, tmp_path / f"small{suffix}", images, runtime=runtime, precision="int8", fixed=True
        )
        assert 35 <= found.psnr < 100


def test_8_bits_need_images(network, tmp_path):
    with pytest.raises(SpecError, match=r"8 bits are calibrated on real images, and there are none; .* --data"):
        export_verified(network, 16, tmp_path / "small.onnx", precision="int8", fixed=True)
    assert list(tmp_path.iterdir()) == []
