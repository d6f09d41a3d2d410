import pytest
import torch
from safetensors.torch import save_file

from pocketgan.errors import DataError
from pocketgan.pretrained.mobilenet_v2 import MobileNetV2
from pocketgan.pretrained.perceptual import STAGES, perceptual_network
from pocketgan.pretrained.vgg import Vgg

VGG_TAPS = {
    "vgg19": (19, ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
    "vgg16": (16, ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]),
}
SIZE = 64


@pytest.fixture(autouse=True)
def no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")


@pytest.fixture
def x():
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", VGG_TAPS)
def test_vgg_by_stages(name, x, tmp_path):
    depth, taps = VGG_TAPS[name]
    vgg = Vgg(depth, taps)
    save_file({k.replace("layers", "features"): v for k, v in vgg.state_dict().items()}, tmp_path / "w")
    network = perceptual_network(name, tmp_path / "w")
    features = network(x)
    with torch.no_grad():
        wanted = vgg((x + 1) / 2 if name == "vgg16" else x)
    assert tuple(features) == STAGES
    for stage, tap in zip(STAGES, taps, strict=True):
        torch.testing.assert_close(features[stage], wanted[tap])
    assert [SIZE // f.shape[-1] for f in features.values()] == [1, 2, 4, 8, 16]
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", VGG_TAPS)
def test_never_untrained(name):
    with pytest.raises(DataError, match=f"^{name} needs its trained weights: .* --weights {name}=FILE$"):
        perceptual_network(name)


def test_the_bundled_network_by_stages(x):
    network = perceptual_network("mobilenet_v2")
    x.requires_grad_()
    features = network(x)
    assert tuple(features) == STAGES
    for want, got in zip(MobileNetV2.load().taps(x).values(), features.values(), strict=True):
        assert torch.equal(got, want)
    sum(f.mean() for f in features.values()).backward()
    assert x.grad.abs().sum() > 0
