import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from pocketgan.errors import SpecError
from pocketgan.pretrained.vgg import Vgg
from tests.parity.golden import formula

WIDTHS = (3, 4, 5, 6, 7)
# where torchvision's `features` have their convolutions
INDICES = {
    16: ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)),
    19: ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34)),
}
ALL_TAPS = {
    depth: [f"relu{s}_{i}" for s, n in enumerate(map(len, INDICES[depth]), 1) for i in range(1, n + 1)]
    for depth in INDICES
}


def torchvision_state(depth, widths=WIDTHS):
    state, inputs = {}, 3
    for width, indices in zip(widths, INDICES[depth], strict=True):
        for index in indices:
            name = f"features.{index}"
            state[f"{name}.weight"] = formula(f"{name}.weight", [width, inputs, 3, 3], prefix="", gain=1.0)
            state[f"{name}.bias"] = formula(f"{name}.bias", [width], prefix="", gain=1.0)
            inputs = width
    return state


def restated(state, depth, x, pool=lambda x: F.max_pool2d(x, 2)):
    found = {}
    for stage, indices in enumerate(INDICES[depth], 1):
        for number, index in enumerate(indices, 1):
            x = F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1).relu()
            found[f"relu{stage}_{number}"] = x
        x = pool(x)
    return found


@pytest.fixture
def x():
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("depth", [16, 19])
def test_every_tap_is_the_restated_one(depth, x, tmp_path):
    state = torchvision_state(depth)
    classifier = {"classifier.0.weight": torch.zeros(8, 8)}
    torch.save({**state, **classifier}, tmp_path / "vgg.pth")
    vgg = Vgg.load(depth, ALL_TAPS[depth], tmp_path / "vgg.pth", widths=WIDTHS)
    features, wanted = vgg(x), restated(state, depth, x)
    assert list(features) == ALL_TAPS[depth]
    for tap, want in wanted.items():
        torch.testing.assert_close(features[tap], want, rtol=1e-5, atol=1e-6)
        assert want.std() > 0.01
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


@pytest.mark.parametrize(
    "official",
    [
        lambda index: f"slice{1 + sum(index > last for last in (0, 5, 10, 19))}.{index}",
        lambda index: f"vgg.to_relu_{1 + sum(index > last for last in (2, 7, 14, 21))}_2.{index}",
    ],
    ids=["GauGAN", "OMGD"],
)
def test_the_official_names_are_understood(official, x, tmp_path):
    state = torchvision_state(16)
    renamed = {
        f"{official(int(i))}.{kind}": value for name, value in state.items() for _, i, kind in [name.split(".")]
    }
    assert len(renamed) == len(state)
    save_file(renamed, tmp_path / "vgg.safetensors")
    features = Vgg.load(16, ["relu5_3"], tmp_path / "vgg.safetensors", widths=WIDTHS)(x)
    torch.testing.assert_close(features["relu5_3"], restated(state, 16, x)["relu5_3"], rtol=1e-5, atol=1e-6)


def test_it_ends_at_the_deepest_tap_and_gives_the_shallowest_first(x):
    vgg = Vgg(16, ["relu2_2", "relu1_1"], widths=WIDTHS)
    assert list(vgg(x)) == ["relu1_1", "relu2_2"]
    assert sum(parameter.dim() == 4 for parameter in vgg.parameters()) == 4


def test_full_widths_are_the_published_ones():
    with torch.device("meta"):
        vgg = Vgg(16, ["relu5_3"])
    assert sum(parameter.numel() for parameter in vgg.parameters()) == 14_714_688  # torchvision's vgg16().features


def test_another_pooling(x, tmp_path):
    state = torchvision_state(16)
    save_file(state, tmp_path / "vgg.safetensors")
    pool = torch.nn.AvgPool2d(2)
    features = Vgg.load(16, ["relu3_1"], tmp_path / "vgg.safetensors", widths=WIDTHS, pool=pool)(x)
    torch.testing.assert_close(features["relu3_1"], restated(state, 16, x, pool)["relu3_1"], rtol=1e-5, atol=1e-6)


def test_unknown_taps_are_refused():
    with pytest.raises(SpecError, match="unknown tap of VGG16 'relu3_4'; did you mean relu3_"):
        Vgg(16, ["relu3_4"])
