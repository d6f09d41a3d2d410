"""Pictures in tiles: what a network makes of the whole image is the oracle."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from pocketgan.deploy import tiles
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import Untileable
from pocketgan.deploy.tiles import Tiled, Tiler
from pocketgan.errors import OutputError
from pocketgan.models import find_model, of_images
from pocketgan.networks import Generator
from pocketgan.tracing.trace import trace

from .networks import Unet, resnet


class Zoo(nn.Module):
    """Every operation that has a regional form and is in no family of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, (3, 5), padding="same", dilation=(2, 1), padding_mode="replicate")
        self.pools = nn.ModuleList([nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1)])
        self.groups = nn.GroupNorm(2, 8)
        self.dilated = nn.Conv2d(8, 8, 3, padding=3, dilation=3, groups=2)
        self.spread = nn.ConvTranspose2d(8, 8, 5, stride=3, padding=2, output_padding=2, dilation=2)
        self.act = nn.PReLU(8)
        self.scale = nn.Parameter(torch.randn(8, 1, 1))
        self.affine = nn.InstanceNorm2d(8, affine=True)
        self.shuffle = nn.Conv2d(16, 12, 3, padding=1)
        self.last = nn.Conv2d(3, 3, 3)

    def forward(self, x):

        x = F.relu_(self.first(x)) * self.scale
        x = torch.cat([self.pools[0](x), self.pools[1](x)[:, 2:], self.pools[2](x)[:, :2]], 1)[:, :8]
        x = x + self.act(self.dilated(self.groups(x)))
        y = F.interpolate(self.spread(x), size=x.shape[2:], mode="bilinear")
        x, gate = torch.cat([x, self.affine(y)], 1).chunk(2, 1)
        x = torch.cat([F.interpolate(x, scale_factor=0.5), F.interpolate(gate.sigmoid(), scale_factor=0.5)], 1)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = F.pixel_shuffle(self.shuffle(x), 2)
        return torch.tanh(self.last(F.pad(x, (1, 1, 1, 1), value=0.5)))


FAMILIES = [
    "mobile-resnet:4",
    "resnet:4",
    "deep-resnet:4",
    "unet:4_4_4_4_4_4",
    "deep-unet:2_2_2_2_2",
    "spade:2@cityscapes",
]


def lively(network: nn.Module) -> nn.Module:
    """With weights of which something is left to see in the picture."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.orthogonal_(parameter, gain=1.5)
    return network.eval()


def image(network: nn.Module, *size: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return network.spec.example(1, size, rng) if isinstance(network, Generator) else torch.rand(1, 3, *size) * 2 - 1


@torch.no_grad()
def check(network: nn.Module, x: torch.Tensor, tile: int) -> None:
    whole = network(x)
    assert whole.std() > 0.1, "there is something to see"
    torch.testing.assert_close(Tiled(network, tuple(x.shape[2:]), tile)(x), whole, atol=5e-4, rtol=0)


@pytest.mark.parametrize("text", FAMILIES)
def test_every_family_is_the_same_in_tiles(text: str):
    network = lively(find_model(text).network)
    check(network, image(network, 64, 128), 27)


@pytest.mark.parametrize("tile", [16, 23, 1000])
@pytest.mark.parametrize(("make", "size"), [(Zoo, (40, 56)), (resnet, (64, 48)), (Unet, (64, 72))])
def test_operations_of_others_are_the_same_in_tiles(make, size: tuple[int, int], tile: int):
    torch.manual_seed(0)
    network = lively(make())
    check(network, image(network, *size), tile)


def test_a_traced_generator_is_the_same_in_tiles():
    network = trace(lively(resnet()), torch.rand(2, 3, 32, 32)).generator().eval()
    check(network, image(network, 60, 44), 16)


def test_a_network_that_looks_at_the_whole_picture_is_refused():
    with pytest.raises(Untileable, match=r"this network's adaptive_avg_pool2d does not; run it whole"):
        Tiled(find_model("munit:2").network, (64, 64))
    with pytest.raises(Untileable, match="this network's linear does not"):
        Tiled(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Linear(32, 32)), (32, 32))


class Largest(TorchDispatchMode):
    """The largest tensor that any operation makes."""

    entries = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.storage_offset() == 0:
            self.entries = max(self.entries, made.numel())
        return made


def test_nothing_but_image_and_picture_is_ever_whole_in_memory():
    network = lively(find_model("mobile-resnet:8").network)
    tiled, x = Tiled(network, (256, 256), 64), image(network, 256, 256)
    with Largest() as largest:
        tiled(x)
    assert largest.entries == x.numel(), "of 3 channels; there are 8 in the first layer and in the last"


def test_statistics_of_parts_are_those_of_the_whole():
    x = torch.randn(1, 3, 20, 30) * 5 + 100
    parts = [Statistics.of(part) for part in (x[..., :7], x[..., 7:8], x[..., 8:])]
    found = parts[0].joined(parts[1].joined(None)).joined(parts[2])
    torch.testing.assert_close(found.mean, x.double().mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(found.variance, x.double().var((0, 2, 3), correction=0), rtol=1e-5, atol=0)


def test_a_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiles.os, "pwrite", full)
    network = find_model("resnet:2").network
    with pytest.raises(OutputError, match=r"no room in .+ \(No space left on device\); set TMPDIR"):
        Tiled(network, (64, 64), 32)(image(network, 64, 64))


def test_large_pictures_are_cut_by_themselves(monkeypatch: pytest.MonkeyPatch):
    model = find_model("mobile-resnet:4")
    bytes_ = 4 * 4 * 64 * 64 * 4  # four times those of 4 channels of 64 x 64 numbers
    for limit, side, tile, tiled in (
        (bytes_, 64, None, 0),
        (bytes_ - 1, 64, None, 1),
        (0, 64, 0, 0),
        (1 << 30, 64, 32, 1),
    ):
        monkeypatch.setattr(tiles, "WHOLE", limit)
        tiler = Tiler(model, model.network, tile)
        with torch.no_grad():
            made = tiler(x := image(model.network, side, side))
            torch.testing.assert_close(made, model.network(x), atol=1e-4, rtol=0)
        assert tiler.tiled == tiled
    monkeypatch.setattr(tiles, "WHOLE", 0)
    model = find_model("munit:2")
    tiler = Tiler(model, of_images(model.network))
    with torch.no_grad():
        tiler(image(model.network, 32, 32))
    assert tiler.tiled == 0, "it cannot be cut"
