from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pocketgan.errors import DataError
from pocketgan.metrics.lpips import Lpips
from pocketgan.pretrained.alexnet import AlexNet
from pocketgan.pretrained.squeezenet import SqueezeNet
from pocketgan.pretrained.vgg import Vgg
from pocketgan.pretrained.weights import BUNDLED
from tests.metrics.reference import reference

OFFICIAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "weights" / "lpips_heads"
TAPS = {"alex": 5, "squeeze": 7, "vgg": 5}
SIZE = {"alex": 40, "squeeze": 40, "vgg": 32}


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """For each name, an untrained network and its file with torchvision's names."""
    torch.manual_seed(0)
    networks = {
        "alex": AlexNet(),
        "squeeze": SqueezeNet(),
        "vgg": Vgg(16, ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")),
    }
    folder = tmp_path_factory.mktemp("backbones")
    for name, network in networks.items():
        state = {key.replace("layers.", "features."): value for key, value in network.state_dict().items()}
        save_file(state, folder / name)
    return {name: (network.requires_grad_(False), folder / name) for name, network in networks.items()}


def images(count, size, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def restated(network, heads, x, y):
    """Equation 1 of the paper, position by position, in float64."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    features = [
        [f.double() for f in network(((image.movedim(1, -1) - shift) / scale).movedim(-1, 1)).values()]
        for image in (x, y)
    ]
    total = torch.zeros(len(x), dtype=torch.float64)
    for number, (a, b) in enumerate(zip(*features, strict=True)):
        weights = heads[f"lin{number}.model.1.weight"].double().flatten()
        height, width = a.shape[-2:]
        for i in range(height):
            for j in range(width):
                u, v = (
                    f[:, :, i, j] / (f[:, :, i, j].square().sum(1, keepdim=True).sqrt() + 1e-10) for f in (a, b)
                )
                total += ((u - v).square() @ weights) / (height * width)
    return total


@pytest.mark.parametrize("name", TAPS)
def test_it_is_the_restated_distance(name, backbones):
    network, file = backbones[name]
    heads = load_file(BUNDLED / f"lpips_{name}.safetensors")
    x, y = images(2, SIZE[name]), images(2, SIZE[name], seed=1)
    got = Lpips.load(name, file)(x, y)
    assert got.min() > 1e-4
    torch.testing.assert_close(got.double(), restated(network, heads, x, y), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", TAPS)
def test_equal_images_are_no_distance_apart_and_order_does_not_matter(name, backbones):
    lpips = Lpips.load(name, backbones[name][1])
    x, y = images(2, SIZE[name]), images(2, SIZE[name], seed=1)
    assert lpips(x, x).tolist() == [0, 0]
    torch.testing.assert_close(lpips(x, y), lpips(y, x))
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


def test_the_gradient_is_finite_where_nothing_answers(backbones):
    """A position whose channels are all zero has no direction; its unit vector is taken as zero."""
    x = torch.zeros(1, 3, 40, 40, requires_grad=True)
    Lpips.load("alex", backbones["alex"][1])(x, images(1, 40)).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", TAPS)
def test_the_bundled_heads_are_the_official_ones(name, backbones):
    if not OFFICIAL.exists():
        pytest.skip("needs the official heads in ../shared")
    x, y = images(1, SIZE[name]), images(1, SIZE[name], seed=1)
    file = backbones[name][1]
    ours, official = Lpips.load(name, file), Lpips.load(name, file, heads=OFFICIAL / f"{name}.pth")
    assert torch.equal(ours(x, y), official(x, y))


def test_heads_of_another_backbone_are_refused(backbones):
    with pytest.raises(DataError, match=r"holds no LPIPS heads for alex; give the published v0\.1 file for alex$"):
        Lpips.load("alex", backbones["alex"][1], heads=BUNDLED / "lpips_vgg.safetensors")


def test_no_backbone_no_figure(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")
    with pytest.raises(DataError, match=r"alexnet needs its trained weights: .* --weights alexnet=FILE$"):
        Lpips.load("alex")


@pytest.mark.parametrize("name", TAPS)
def test_it_is_the_reference_package(name, backbones):
    package = reference("lpips")
    file = backbones[name][1]
    theirs = package.LPIPS(net=name, pnet_rand=True, verbose=False)
    state = load_file(file)
    # the package holds torchvision's layers by their index, behind the number of its slice
    theirs.net.load_state_dict({key: state[f"features.{key.partition('.')[2]}"] for key in theirs.net.state_dict()})
    x, y = images(2, 96), images(2, 96, seed=1)
    torch.testing.assert_close(Lpips.load(name, file)(x, y), theirs(x, y).flatten(), rtol=1e-5, atol=0)
