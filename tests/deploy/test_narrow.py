"""Heads that put out four pixels at once: the same picture from other convolutions."""

import copy

import onnx
import pytest
import torch
from torch import nn

from pocketgan.deploy import export_onnx
from pocketgan.deploy.narrow import FourPixels, widen_narrow
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec


@pytest.mark.parametrize(("kernel", "padding", "bias"), [(7, 0, True), (5, 2, False), ((5, 7), (1, 0), True)])
@torch.no_grad()
def test_four_pixels_at_once(kernel, padding, bias):
    plain = nn.Conv2d(6, 3, kernel, padding=padding, bias=bias).double()
    size = plain.kernel_size
    x = torch.rand(2, 6, *(8 + k - 1 - 2 * p for k, p in zip(size, plain.padding, strict=True))).double()
    wide = FourPixels(plain)
    assert wide(x).shape == (2, 3, 8, 8)
    torch.testing.assert_close(wide(x), plain(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (ResnetSpec.uniform(5, blocks=1), ["head.conv"]),
        (ResnetSpec.uniform(5, blocks=1, ends=3), []),
        (ResnetSpec.uniform(5, blocks=1, out_channels=5), []),
        (ResnetSpec.uniform(4, blocks=1), []),
        (MunitSpec.uniform(5, blocks=1, mlp_width=4), ["decoder.head.conv"]),
        (SpadeSpec.uniform(5, in_channels=4, upsampling="normal"), []),
    ],
)
@torch.no_grad()
def test_which_convolutions(spec, found):
    network = spec.build().double().eval()
    wide = copy.deepcopy(network)
    widen_narrow(wide.float())
    wide = wide.double()
    assert [name for name, module in wide.named_modules() if isinstance(module, FourPixels)] == found
    assert wide.state_dict().keys() == network.state_dict().keys()
    side, rng = 2 * spec.smallest_side, torch.Generator().manual_seed(0)
    x, more = spec.example(1, (side, side), rng).double(), {n: t.double() for n, t in network.draw(1, rng).items()}
    torch.testing.assert_close(wide(x, **more), network(x, **more), rtol=1e-5, atol=1e-5)


def test_a_module_of_unknown_sides_is_left_alone():
    network = nn.Sequential(nn.Conv2d(8, 3, 7))
    widen_narrow(network)
    assert type(network[0]) is nn.Conv2d


def test_exports_have_them_and_take_any_side(tmp_path):
    network = ResnetSpec.uniform(5, blocks=0).build()
    export_onnx(network, 16, tmp_path / "network.onnx")
    graph = onnx.load(tmp_path / "network.onnx").graph
    assert "DepthToSpace" in {node.op_type for node in graph.node}
    sides = graph.input[0].type.tensor_type.shape.dim
    assert [each.dim_param for each in sides] == ["batch", "", "rows", "columns"]
    assert type(network.head.conv) is nn.Conv2d
