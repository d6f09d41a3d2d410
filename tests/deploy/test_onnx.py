import subprocess
import sys
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from pocketgan.deploy import export_onnx, export_verified, verify_onnx
from pocketgan.errors import OutputError, PocketGANError

from .networks import Branching, OneImage, Unet, resnet


def images(batch=2, height=32, width=32):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def sides(path):
    """Symbolic names and sizes of the input."""
    (image,) = onnx.load(path).graph.input
    assert image.name == "image"
    return [side.dim_param or side.dim_value for side in image.type.tensor_type.shape.dim]


@pytest.fixture(scope="module")
def network():
    return resnet()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "network.onnx"
    export_onnx(network, 32, path)
    return path


def test_the_file_is_whole_and_keeps_the_operations(exported):
    model = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(model)
    assert [path.name for path in exported.parent.iterdir()] == ["network.onnx"]
    operations = Counter(node.op_type for node in model.graph.node)
    assert operations["InstanceNormalization"] == 4
    assert operations["Pad"] == 3
    assert operations["ConvTranspose"] == 2
    assert "Dropout" not in operations
    assert [output.name for output in model.graph.output] == ["image_out"]


def test_batch_and_size_are_open(exported, network):
    batch, channels, height, width = sides(exported)
    assert all(isinstance(side, str) for side in (batch, height, width))
    assert channels == 3
    session = onnxruntime.InferenceSession(exported)
    network = network.eval()
    for shape in ((1, 32, 32), (3, 32, 32), (2, 20, 64)):
        x = images(*shape)
        (y,) = session.run(["image_out"], {"image": x.numpy()})
        np.testing.assert_allclose(y, network(x).detach(), atol=1e-4)


def test_a_unet_keeps_its_size(tmp_path):
    network = Unet()
    export_onnx(network, 32, tmp_path / "unet.onnx")
    batch, *rest = sides(tmp_path / "unet.onnx")
    assert isinstance(batch, str)
    assert rest == [3, 32, 32]
    assert verify_onnx(tmp_path / "unet.onnx", network, images()) < 1e-5


def test_a_network_of_one_image_keeps_its_batch(tmp_path):
    export_onnx(OneImage(), 32, tmp_path / "one.onnx")
    assert sides(tmp_path / "one.onnx") == [1, 3, 32, 32]


def test_nothing_is_printed_and_the_network_is_left_alone(network, tmp_path, capfd, recwarn):
    network.train()
    export_verified(network, 32, tmp_path / "network.onnx", images())
    assert capfd.readouterr() == ("", "")
    assert len(recwarn) == 0
    assert all(module.training for module in network.modules())


def test_verify_measures_the_difference(exported, network):
    assert verify_onnx(exported, network, images()) < 1e-4
    other = resnet()
    with torch.no_grad():
        other[-2].bias += 0.1
    x = images()
    session = onnxruntime.InferenceSession(exported)
    expected = np.abs(session.run(None, {"image": x.numpy()})[0] - other.eval()(x).detach().numpy()).max()
    assert verify_onnx(exported, other, x, tolerance=1.0) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(PocketGANError, match=r"within 0\.001, and this one differs by 0\.\d+; try another opset"):
        verify_onnx(exported, other, x)


def test_a_failed_export_leaves_nothing_and_keeps_the_old_file(network, tmp_path):
    path = tmp_path / "network.onnx"
    with pytest.raises(PocketGANError, match="must agree"):
        export_verified(network, 32, path, images(), tolerance=-1.0)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"old")
    with pytest.raises(PocketGANError, match="operations that ONNX has, at 32 x 32 pixels, and Branching"):
        export_onnx(Branching(), 32, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]
    assert path.read_bytes() == b"old"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="needs a place that can be written"):
        export_onnx(nn.Conv2d(3, 3, 1), 8, tmp_path / "file" / "network.onnx")


def test_runtimes_are_imported_only_when_used():
    code = "import sys, pocketgan.deploy; assert not {'onnx', 'onnxruntime', 'onnxscript'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
