"""ONNX files part by part: what ONNX Runtime makes of the whole image is the oracle."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import pocketgan as pg
from pocketgan.deploy.exported import Exported, open_model
from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.regional import Box
from pocketgan.deploy.regions import Regions
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.deploy.steps import Untileable
from pocketgan.deploy.tiles import Tiled, Whole
from pocketgan.errors import DataError
from pocketgan.models import find_model
from pocketgan.networks import ResnetSpec

from .networks import resnet
from .test_editor import edited
from .test_tiles import Zoo, check, image, lively

SMALL = ResnetSpec.uniform(4, blocks=1, separable=("residual",))


def file_of(network: nn.Module, size: int, path: Path, **more: object) -> Exported:
    export_onnx(network, size, path, **more)
    return Exported(path, runtime_named("onnxruntime").load(path, 1), lambda count, rng: {})


def zoo() -> nn.Module:
    torch.manual_seed(0)
    network = Zoo()
    network.groups = nn.Identity()  # group norms are reshaped in ONNX
    return lively(network)


@pytest.mark.parametrize(
    ("make", "more"), [(zoo, {"fixed": True}), (lambda: lively(resnet()), {})], ids=["zoo", "resnet"]
)
def test_a_file_is_the_same_in_tiles(make, more: dict[str, bool], tmp_path: Path):
    network = file_of(make(), 48, tmp_path / "small.onnx", **more)
    check(network, image(nn.Identity(), 48, 48), 23)
    if not more:  # any size, padded within the file
        x = image(nn.Identity(), 41, 55)
        torch.testing.assert_close(Tiled(network, (41, 55), 16)(x), network(x), atol=5e-4, rtol=0)


def test_a_file_in_eight_bits_is_nearly_the_same_in_tiles(tmp_path: Path):
    """A value on the border of two of the 256 steps may fall to the other side, on some processors more often: the
    measure is how far the 8 bits themselves put the file from its network."""
    torch.manual_seed(0)
    network, x = lively(SMALL.build()), image(nn.Identity(), 64, 64)
    file = file_of(network, 64, tmp_path / "small.onnx", precision="int8", images=x)
    assert (file(x) - network(x)).abs().max() > 1e-3, "there are 8 bits"
    tiled, whole, true = Tiled(file, (64, 64), 40)(x), file(x), network(x)
    off = (whole - true).square().mean()
    assert (tiled - whole).square().mean() < 0.8 * off
    assert (tiled - true).square().mean() < 1.1 * off


class Mean(nn.Module):
    def forward(self, x):
        return x * x.mean((2, 3), keepdim=True)


def test_a_file_that_looks_at_the_whole_picture_is_refused(tmp_path: Path):
    file = file_of(Mean(), 16, tmp_path / "small.onnx")
    with pytest.raises(Untileable, match="this network's ReduceMean does not; run it whole"):
        Tiled(file, (16, 16))


#: no norm of the image and no mirrored edge: few values are kept
FIXED = "norm=batch,separable_norm=batch,padding=zero,ends=3,input_skip=true"


@pytest.mark.parametrize("spec", ["mobile-resnet:4,ends=3", "resnet:4,up=resize", f"mobile-resnet:4,{FIXED}"])
def test_parts_of_every_kept_value(tmp_path: Path, spec: str):
    """At edges and away from all of them, as they are in the whole value; and some steps are done as one."""
    network = lively(find_model(spec).network)
    x = image(network, 64, 64)
    regions = Regions(file_of(network, 64, tmp_path / "file.onnx"), (64, 64))
    values, statistics = regions.run(x, regions.seen)
    held = {place: Whole(values[place]) for place in regions.seen}
    assert regions.seen < regions.kept
    joined = 0
    for place in sorted(regions.seen)[1:]:
        joined += regions.joined(place, regions.seen) is not None
        height, width = regions.steps[place].size
        for box in (
            Box((0, -(-height // 4)), (0, width)),
            Box((height // 4, height // 2), (width // 3, width // 2)),
            Box((height - 3, height), (width // 2, width - 1)),
        ):
            if not box.empty:
                made = regions.compute(place, box, held, statistics, regions.seen)
                scale = float(values[place].abs().max())
                torch.testing.assert_close(made, held[place].read(box), atol=1e-4 * scale, rtol=0)
    assert joined
    if FIXED in spec:
        assert len(regions.seen) < len(regions.kept) / 4, "of nine blocks, two go together"


def test_edits_of_a_file(tmp_path: Path):
    """As those of a module (test_editor.py); exact ones are bit for bit the file's own picture."""
    network = lively(SMALL.build())
    x = F.interpolate(image(network, 16, 16), (128, 128), mode="bicubic").clamp(-1, 1)
    pg.export(network, tmp_path / "small.onnx", size=64)
    whole = open_model(str(tmp_path / "small.onnx")).network
    editor, of_module = (pg.Editor(model, x[0]) for model in (tmp_path / "small.onnx", network))
    own = x
    for box, colour in (((40, 50, 46, 58), 0.1), ((70, 10, 76, 16), -0.2)):
        pixels = x[0, :, box[0] : box[2], box[1] : box[3]] + colour
        made, expected = editor.edit(box, pixels), of_module.edit(box, pixels)
        own = edited(own, box, pixels)
        assert (made.place, made.exact) == (expected.place, False)
        torch.testing.assert_close(made.picture, expected.picture, atol=1e-3, rtol=0)
        assert made.drift == pytest.approx(expected.drift, rel=0.02, abs=1e-5)
    error = editor.settle()
    assert torch.equal(editor.picture, whole(own)[0])
    assert error.psnr == pytest.approx(of_module.settle().psnr, rel=0.01)
    exact = editor.edit((0, 0, 60, 60), torch.ones(3, 1, 1), exact=True)
    assert torch.equal(exact.picture, whole(edited(own, (0, 0, 60, 60), torch.ones(3, 1, 1)))[0])
    with pytest.raises(DataError, match="the image has 1 channels, and the network takes 3"):
        pg.Editor(tmp_path / "small.onnx", torch.zeros(1, 64, 64))
