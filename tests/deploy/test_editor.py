"""Edits of an image: what the network makes of the edited image is the oracle."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import pocketgan as pg
from pocketgan.deploy import editor as editing
from pocketgan.deploy.statistics import Statistics
from pocketgan.errors import DataError, SpecError
from pocketgan.models import find_model

from .networks import Unet
from .test_tiles import image, lively


def batch_normed() -> nn.Sequential:
    """Without norms that look at the whole picture: what an edit reaches is a matter of kernels alone."""
    torch.manual_seed(0)
    layers = [nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())


def edited(x: torch.Tensor, box: tuple[int, int, int, int], pixels: torch.Tensor) -> torch.Tensor:
    own = x.clone()
    own[:, :, box[0] : box[2], box[1] : box[3]] = pixels
    return own


@pytest.mark.parametrize("box", [(0, 0, 5, 7), (20, 13, 28, 30), (59, 41, 64, 48), (0, 0, 64, 48)])
@pytest.mark.parametrize("make", [batch_normed, Unet])
def test_without_a_margin_an_edit_is_a_full_recompute(make, box: tuple[int, int, int, int]):
    """Where norms do not look at the picture; and no more than what the edit reaches is made anew."""
    network, x = lively(make()), image(nn.Identity(), 64, 48)
    pixels = torch.rand(3, box[2] - box[0], box[3] - box[1]) * 2 - 1
    editor = pg.Editor(network, x[0], margin=None)
    made = editor.edit(box, pixels)
    with torch.no_grad():
        before, after = network(x), network(edited(x, box, pixels))
    torch.testing.assert_close(made.picture, after[0], atol=1e-5, rtol=0)
    assert (made.exact, made.drift) == (False, 0.0)
    top, left, bottom, right = made.place
    changed = torch.nonzero((before - after).abs().amax((0, 1)) > 1e-6)
    assert top <= changed[:, 0].min() <= changed[:, 0].max() < bottom
    assert left <= changed[:, 1].min() <= changed[:, 1].max() < right
    reach = 0 if make is Unet else 8
    if reach:
        assert (bottom - top, right - left) <= (box[2] - box[0] + reach, box[3] - box[1] + reach)


def test_edits_follow_each_other_and_settle():
    network = lively(find_model("mobile-resnet:4").network)
    x = F.interpolate(image(network, 16, 16), (128, 128), mode="bicubic").clamp(-1, 1)
    editor = pg.Editor(network, x[0])
    own = x
    for box, colour in (((40, 50, 46, 58), 0.1), ((70, 10, 76, 16), -0.2), ((40, 50, 44, 52), 0.0)):
        pixels = x[0, :, box[0] : box[2], box[1] : box[3]] + colour
        before = editor.picture
        made = editor.edit(box, pixels)
        own = edited(own, box, pixels)
        top, left, bottom, right = made.place
        assert not made.exact
        assert (top, left, bottom, right) == (box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8)
        kept = torch.ones(128, 128, dtype=torch.bool)
        kept[top:bottom, left:right] = False
        assert torch.equal(made.picture[:, kept], before[:, kept]), "beyond the margin all stays as it was"
        with torch.no_grad():
            whole = network(own)[0]
        near = (slice(None), slice(box[0], box[2]), slice(box[1], box[3]))
        assert (made.picture - whole)[near].abs().mean() < 0.5 * (before - whole)[near].abs().mean()
    fast = editor.picture
    error = editor.settle()
    assert torch.equal(editor.picture, whole), "bit for bit"
    assert error.largest == pytest.approx((fast - whole).abs().max().item())
    mean = (fast - whole).double().square().mean().item()
    assert error.psnr == pytest.approx(10 * math.log10(4 / mean))
    assert editor.settle() == (0.0, math.inf)


def test_an_exact_edit_is_bit_for_bit_a_full_recompute_and_fast_ones_go_on_from_it():
    network = lively(find_model("resnet:4").network)
    x = image(network, 64, 64)
    editor = pg.Editor(network, x[0])
    box, pixels = (8, 8, 20, 24), torch.full((3, 1, 1), 0.5)
    with torch.no_grad():
        whole = network(edited(x, box, pixels))[0]
    made = editor.edit(box, pixels, exact=True)
    assert made.exact
    assert torch.equal(made.picture, whole)
    same = editor.edit(box, pixels)  # nothing changes: what is kept must be of the edited image
    torch.testing.assert_close(same.picture, whole, atol=1e-3, rtol=0)
    assert same.drift < 1e-4


def test_an_edit_that_moves_the_statistics_is_made_whole(monkeypatch: pytest.MonkeyPatch):
    network = lively(find_model("resnet:4").network)
    x = image(network, 64, 64) * 0.01
    editor = pg.Editor(network, x[0])
    box, pixels = (0, 0, 40, 40), torch.ones(3, 40, 40)
    made = editor.edit(box, pixels)
    assert made.exact
    assert made.drift > editing.DRIFT
    with torch.no_grad():
        torch.testing.assert_close(made.picture, network(edited(x, box, pixels))[0], atol=1e-4, rtol=0)
    monkeypatch.setattr(editing, "DRIFT", 1e9)
    assert not pg.Editor(network, x[0]).edit(box, pixels).exact


def test_statistics_follow_pixels_that_change():
    x, y = torch.randn(1, 3, 20, 30) * 5 + 10, torch.randn(1, 3, 4, 5)
    found = Statistics.of(x).replaced(x[:, :, 3:7, 2:7], y)
    new = x.clone()
    new[:, :, 3:7, 2:7] = y
    torch.testing.assert_close(found.mean, new.double().mean((0, 2, 3)), rtol=1e-5, atol=0)
    torch.testing.assert_close(found.variance, new.double().var((0, 2, 3), correction=0), rtol=1e-4, atol=0)
    own = Statistics(torch.zeros(2).double(), torch.ones(2).double(), 9)
    assert own.apart(own) == 0
    assert own.apart(Statistics(torch.tensor([0.0, 3.0]).double(), own.variance, 9)) == pytest.approx(1.5, rel=1e-4)
    assert own.apart(Statistics(own.mean, own.variance * math.e**2, 9)) == pytest.approx(1, rel=1e-4)


def test_edits_that_cannot_be():
    network = find_model("resnet:2").network
    editor = pg.Editor(network, torch.zeros(3, 32, 32))
    for box in ((0, 0, 33, 4), (-1, 0, 3, 4), (4, 4, 4, 8)):
        with pytest.raises(DataError, match=r"lies within the image of 32 x 32 pixels, and .+ does not; cut it"):
            editor.edit(box, torch.zeros(3, 1, 1))
    with pytest.raises(DataError, match=r"have the shape \(3, 4, 4\), not \(3, 5, 4\); cut them"):
        editor.edit((0, 0, 4, 4), torch.zeros(3, 5, 4))
    with pytest.raises(SpecError, match="size 30 does not fit a resnet generator"):
        pg.Editor(network, torch.zeros(3, 30, 32))
    with pytest.raises(SpecError, match="this network's adaptive_avg_pool2d does not"):
        pg.Editor("munit:2", torch.zeros(3, 32, 32))
