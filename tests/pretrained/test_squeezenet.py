import torch
from torch.nn import functional as F

from pocketgan.pretrained.squeezenet import SqueezeNet
from tests.parity.golden import formula

# as torchvision names them: inputs, squeezed, expanded by each of the two kernels
FIRES = {
    3: (64, 16, 64),
    4: (128, 16, 64),
    6: (128, 32, 128),
    7: (256, 32, 128),
    9: (256, 48, 192),
    10: (384, 48, 192),
    11: (384, 64, 256),
    12: (512, 64, 256),
}
TAPS = {4: "fire3", 7: "fire5", 9: "fire6", 10: "fire7", 11: "fire8", 12: "fire9"}


def torchvision_state():
    shapes = {"features.0.weight": [64, 3, 3, 3], "features.0.bias": [64]}
    for index, (inputs, squeezed, expanded) in FIRES.items():
        for part, shape in (
            ("squeeze", [squeezed, inputs, 1, 1]),
            ("expand1x1", [expanded, squeezed, 1, 1]),
            ("expand3x3", [expanded, squeezed, 3, 3]),
        ):
            shapes |= {f"features.{index}.{part}.weight": shape, f"features.{index}.{part}.bias": shape[:1]}
    return {name: formula(name, shape, prefix="", gain=1.0) for name, shape in shapes.items()}


def test_every_tap_is_the_restated_one(tmp_path):
    state = torchvision_state()
    torch.save({**state, "classifier.1.weight": torch.zeros(2, 2)}, tmp_path / "squeezenet.pth")
    network = SqueezeNet.load(tmp_path / "squeezenet.pth")
    x = torch.randn(2, 3, 50, 67, generator=torch.Generator().manual_seed(0))
    features = network(x)
    assert list(features) == ["relu1", *TAPS.values()]

    def conv(x, name, **options):
        return F.conv2d(x, state[f"features.{name}.weight"], state[f"features.{name}.bias"], **options).relu()

    x = conv(x, "0", stride=2)
    torch.testing.assert_close(features["relu1"], x, rtol=1e-4, atol=1e-5)
    for index in FIRES:
        if index in (3, 6, 9):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = conv(x, f"{index}.squeeze")
        x = torch.cat((conv(x, f"{index}.expand1x1"), conv(x, f"{index}.expand3x3", padding=1)), 1)
        if index in TAPS:
            torch.testing.assert_close(features[TAPS[index]], x, rtol=1e-4, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_smallest_image():
    assert SqueezeNet()(torch.zeros(1, 3, 17, 17))["fire9"].shape == (1, 512, 1, 1)
