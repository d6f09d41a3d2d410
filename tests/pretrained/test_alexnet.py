import pytest
import torch
from torch.nn import functional as F

from pocketgan.errors import DataError
from pocketgan.pretrained.alexnet import AlexNet
from tests.parity.golden import formula

# as torchvision names them: kernel shape, stride, padding
LAYERS = {
    0: ([64, 3, 11, 11], 4, 2),
    3: ([192, 64, 5, 5], 1, 2),
    6: ([384, 192, 3, 3], 1, 1),
    8: ([256, 384, 3, 3], 1, 1),
    10: ([256, 256, 3, 3], 1, 1),
}


@pytest.fixture(scope="module")
def state():
    shapes = {f"features.{i}.weight": shape for i, (shape, _, _) in LAYERS.items()}
    shapes |= {f"features.{i}.bias": shape[:1] for i, (shape, _, _) in LAYERS.items()}
    return {name: formula(name, shape, prefix="", gain=1.0) for name, shape in shapes.items()}


def test_every_tap_is_the_restated_one(state, tmp_path):
    torch.save({**state, "classifier.1.weight": torch.zeros(2, 2)}, tmp_path / "alexnet.pth")
    network = AlexNet.load(tmp_path / "alexnet.pth")
    x = torch.randn(2, 3, 67, 80, generator=torch.Generator().manual_seed(0))
    features = network(x)
    assert list(features) == [f"relu{i}" for i in range(1, 6)]
    for number, (index, (_, stride, padding)) in enumerate(LAYERS.items(), 1):
        weight, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        x = F.conv2d(x, weight, bias, stride, padding).relu()
        torch.testing.assert_close(features[f"relu{number}"], x, rtol=1e-4, atol=1e-5)
        x = F.max_pool2d(x, 3, 2) if number in (1, 2) else x
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_smallest_image(state):
    assert AlexNet()(torch.zeros(1, 3, 31, 31))["relu5"].shape == (1, 256, 1, 1)


def test_another_network_is_refused(state, tmp_path):
    torch.save({name: tensor for name, tensor in state.items() if ".8." not in name}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"holds no weights of AlexNet: features\.8\.weight is missing"):
        AlexNet.load(tmp_path / "other.pth")
