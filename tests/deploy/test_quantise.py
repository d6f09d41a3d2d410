"""Convolutions in 8 bits: which, how near, and what happens where it is not near enough."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from pocketgan.deploy import export_onnx, export_verified
from pocketgan.deploy.graph import compact, layer_names
from pocketgan.deploy.quantise import drop_biases, quantise
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


@pytest.mark.parametrize("results", [True, False])
def test_all_convolutions(file, rows, tmp_path, results):
    path = tmp_path / "small.onnx"
    path.write_bytes(file.read_bytes())
    assert quantise(path, rows, 20.0, results=results) == []
    graph = onnx.load(path).graph
    onnx.checker.check_model(onnx.load(path))
    layers = [node for node in graph.node if "Conv" in node.op_type]
    assert len(weights_in_8_bits(path)) == len(layers) == 6
    names, before = layer_names(onnx.load(path)), layer_names(onnx.load(file))
    own = [node.name for node in onnx.load(file).graph.node if "Conv" in node.op_type]
    assert [names[node.name] for node in layers] == [before[name] for name in own]
    difference = pictures(path, rows) - pictures(file, rows)
    assert 0 < np.sqrt((difference**2).mean()) < 0.2
    held = {each.name: each for each in graph.initializer}
    of_weights = [node for node in graph.node if node.input[0] in held and node.op_type == "DequantizeLinear"]
    scales = [held[node.input[1]] for node in of_weights if ".weight" in node.input[0]]
    assert sorted(each.dims[0] for each in scales) == [3, *[8] * 5], "a scale for each channel"
    made = {node.output[0]: node.op_type for node in layers}
    rounded = [
        made[node.input[0]] for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] in made
    ]
    # what goes straight into the next convolution is rounded there
    assert sorted(rounded) == ["Conv"] * (5 if results else 1) + ["ConvTranspose"]


def test_biases_that_a_norm_takes_away(images, tmp_path):
    """They are gone from the file, and nobody sees it; those that count stay."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3))
    path = tmp_path / "small.onnx"
    export_onnx(network, 16, path, fixed=True)
    model = onnx.load(path)
    drop_biases(model.graph)
    onnx.save(model, tmp_path / "less.onnx")
    assert [len(node.input) for node in model.graph.node if node.op_type == "Conv"] == [2, 3]
    rows = [{"image": image[None].numpy()} for image in images]
    np.testing.assert_allclose(pictures(tmp_path / "less.onnx", rows), pictures(path, rows), atol=1e-5)


def test_for_openvino(rows, tmp_path, monkeypatch):
    """Signed values are rounded about zero, and before they are padded, which the picture does not show."""
    torch.manual_seed(0)
    pad = nn.ReflectionPad2d(1)
    network = nn.Sequential(pad, nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8), pad, nn.ConvTranspose2d(8, 3, 3))
    path, late = tmp_path / "small.onnx", tmp_path / "late.onnx"
    export_onnx(network, 16, path, fixed=True)
    late.write_bytes(path.read_bytes())
    assert quantise(path, rows, 20.0, results=False) == []
    graph = onnx.load(path).graph
    made = {node.output[0]: node.op_type for node in graph.node}
    pads = [made[node.input[0]] for node in graph.node if node.op_type == "Pad"]
    assert pads == ["DequantizeLinear"] * 2
    zeros = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    points = [zeros[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(points) == 2
    assert all(each.dtype == np.int8 and each == 0 for each in points)
    monkeypatch.setattr("pocketgan.deploy.quantise.round_before_padding", lambda graph: None)
    quantise(late, rows, 20.0, results=False)
    assert "QuantizeLinear" not in [node.op_type for node in onnx.load(late).graph.node if node.input[0] == "image"]
    assert np.array_equal(pictures(path, rows), pictures(late, rows))


def test_ranges_are_means_over_the_images(file, rows):
    from pocketgan.deploy.quantise import _ranges

    found = _ranges(file, rows)["image"].range_value
    images = np.concatenate([row["image"] for row in rows])
    expected = images.min((1, 2, 3)).mean(), images.max((1, 2, 3)).mean()
    np.testing.assert_allclose(np.array(found, np.float32).ravel(), expected, rtol=1e-6)


def test_what_a_file_does_not_need(file, rows, tmp_path):
    model = onnx.load(file)
    compact(model)
    onnx.save(model, tmp_path / "small.onnx")
    assert (tmp_path / "small.onnx").stat().st_size < file.stat().st_size
    assert np.array_equal(pictures(tmp_path / "small.onnx", rows), pictures(file, rows))
    assert {*layer_names(model).values()} == {*layer_names(onnx.load(file)).values()}


def test_what_harms_most_goes_back_to_32_bits(file, rows, tmp_path, monkeypatch):
    """A bound between that of all layers and that of one."""
    path = tmp_path / "small.onnx"
    path.write_bytes(file.read_bytes())
    quantise(path, rows, 0.0)
    mean = ((pictures(path, rows) - pictures(file, rows)) ** 2).mean()
    reached = 10 * np.log10(4 / mean)
    path.write_bytes(file.read_bytes())
    floating = quantise(path, rows, float(reached) + 1)
    assert 0 < len(floating) < 6
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
