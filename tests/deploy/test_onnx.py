import subprocess
import sys
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from pocketgan.deploy import export_onnx, export_verified, verify
from pocketgan.deploy.ship import Bound
from pocketgan.errors import OutputError, PocketGANError
from pocketgan.networks import MunitSpec, SpadeSpec, UnetSpec

from .networks import Branching, OneImage, Unet, resnet


def images(batch=2, height=32, width=32):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def label_maps(channels, batch=2, height=64, width=64):
    """Blocks of one class each, as 0 and 1."""
    blocks = torch.randint(channels, (batch, height // 8, width // 8), generator=torch.Generator().manual_seed(0))
    return torch.eye(channels)[blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)].movedim(-1, 1).contiguous()


def sides(path, number=0, name="image"):
    """Symbolic names and sizes of an input."""
    found = onnx.load(path).graph.input[number]
    assert found.name == name
    return [side.dim_param or side.dim_value for side in found.type.tensor_type.shape.dim]


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
    assert operations["Pad"] == 4, "three of its own, and one to take any side"
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
    assert verify(tmp_path / "unet.onnx", network, images()).largest < 1e-5


def test_sides_are_open_as_multiples_of_the_stride(tmp_path):
    """A U-Net too, though its smallest image has an innermost side of 1."""
    network, path = UnetSpec.uniform(1, levels=5).build(), tmp_path / "unet.onnx"
    export_onnx(network, 32, path)
    assert sides(path) == ["batch", 3, "rows", "columns"]
    assert verify(path, network, images(2, 96, 32)).largest < 1e-4


def test_a_network_of_label_maps(tmp_path):
    torch.manual_seed(0)
    network, path = SpadeSpec.uniform(2, in_channels=5, upsampling="normal").build(), tmp_path / "spade.onnx"
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):  # statistics that matter
            nn.init.normal_(norm.running_mean)
    assert export_verified(network, (64, 96), path, label_maps(5, 3, 64, 96)).largest < 1e-4
    assert sides(path) == ["batch", 5, "rows", "columns"]
    for shape in ((1, 64, 64), (3, 128, 96)):
        assert verify(path, network, label_maps(5, *shape)).largest < 1e-4
    other = SpadeSpec.uniform(2, in_channels=5, upsampling="normal").build()
    with pytest.raises(PocketGANError, match="must agree"):
        verify(path, other, label_maps(5))


def test_a_network_that_takes_a_style(tmp_path):
    torch.manual_seed(0)
    network, path = MunitSpec.uniform(4, blocks=1).build().eval(), tmp_path / "munit.onnx"
    assert export_verified(network, 32, path).largest < 1e-3
    assert sides(path) == ["batch", 3, "rows", "columns"]
    assert sides(path, 1, "style") == ["batch", 8, 1, 1]
    session, x = onnxruntime.InferenceSession(path), images(3, 20, 44)
    made = []
    for seed in (1, 2):
        style = network.draw(3, torch.Generator().manual_seed(seed))["style"]
        (y,) = session.run(None, {"image": x.numpy(), "style": style.numpy()})
        np.testing.assert_allclose(y, network(x, style=style).detach(), atol=1e-4)
        made.append(y)
    assert np.abs(made[0] - made[1]).max() > 1e-2, "the style matters"
    assert verify(path, network, x).largest < 1e-3
    with torch.no_grad():
        network.mlp.last.bias += 0.5
    with pytest.raises(PocketGANError, match="must agree"):
        verify(path, network, x)


def test_an_output_of_another_shape_is_a_difference(exported):
    """Though it could be broadcast."""

    class First(nn.Module):
        def forward(self, x):
            return torch.zeros(1, 1, 1, 1)

    with pytest.raises(PocketGANError, match="differs by inf"):
        verify(exported, First(), images())


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
    assert verify(exported, network, images()).largest < 1e-4
    other = resnet()
    with torch.no_grad():
        other[-2].bias += 0.1
    x = images()
    session = onnxruntime.InferenceSession(exported)
    expected = np.abs(session.run(None, {"image": x.numpy()})[0] - other.eval()(x).detach().numpy()).max()
    assert verify(exported, other, x, bound=Bound(1.0, 0)).largest == pytest.approx(expected, rel=1e-3)
    with pytest.raises(
        PocketGANError, match=r"within 0\.001 and to 60 dB at least, and this one differs by 0\.\d+ \(.*\); choose"
    ):
        verify(exported, other, x)


def test_images_need_not_be_square(network, tmp_path):
    unet = UnetSpec.uniform(1, levels=5).build()
    for each, size in ((network, (24, 40)), (unet, (32, 64))):
        assert export_verified(each, size, tmp_path / "wide.onnx", images(2, *size)).largest < 1e-3


def test_a_failed_export_leaves_nothing_and_keeps_the_old_file(network, tmp_path):
    path = tmp_path / "network.onnx"
    with pytest.raises(PocketGANError, match="must agree"):
        export_verified(network, 32, path, images(), bound=Bound(-1.0, 0))
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"old")
    with pytest.raises(PocketGANError, match="operations that ONNX has, at 32 x 32 pixels, and Branching"):
        export_onnx(Branching(), 32, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]
    assert path.read_bytes() == b"old"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="needs a place that can be written"):
        export_verified(nn.Conv2d(3, 3, 1), 8, tmp_path / "file" / "network.onnx")


def test_runtimes_are_imported_only_when_used():
    code = "import sys, pocketgan.deploy; assert not {'onnx', 'onnxruntime', 'onnxscript'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
