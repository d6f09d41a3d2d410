"""Costs equal what independent counters find on the real networks."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.elastic.cost import CostModel, cost, layer_costs
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec, UnetSpec
from pocketgan.networks.layers import InstanceNorm
from tests.elastic.toys import SHAPES, genomes, name_of, small_space

#: the first architecture at three sizes, the others at one that is not square
CASES = [(SHAPES[0], (16, 16)), (SHAPES[0], (64, 64)), *((shape, (32, 48)) for shape in SHAPES)]


def counted(spec: ResnetSpec, height: int, width: int) -> dict[str, int]:
    """By PyTorch's own counter, and for the papers' convention by a hook at every convolution and norm."""
    paper = 0

    def count(module, inputs, output):
        nonlocal paper
        if isinstance(module, InstanceNorm):
            paper += output.numel()
        else:
            paper += module.weight.numel() * math.prod(output.shape[2:])

    with torch.device("meta"):
        network = spec.build().eval()
        x = torch.empty(1, 3, height, width)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, InstanceNorm)):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as flops:
        network(x)
    return {
        "params": sum(p.numel() for p in network.parameters()),
        "macs": paper,
        "true_macs": flops.get_total_flops() // 2,
    }


@pytest.mark.parametrize(("shape", "size"), CASES, ids=[f"{name_of(shape)}-{h}x{w}" for shape, (h, w) in CASES])
def test_three_counters_agree(shape, size):
    space = small_space((7, 4, 2, 1), **shape)
    drawn = [space.largest, space.smallest, *genomes(space, 18)]
    found = CostModel(space.spec, *size)(np.array([space.widths(genome) for genome in drawn]))
    for i, genome in enumerate(drawn):
        spec = space.spec.resized(space.widths(genome))
        assert found.at(i) == cost(spec, *size) == counted(spec, *size), genome


def test_a_square_needs_one_side():
    spec = ResnetSpec.uniform(4)
    assert cost(spec, 32) == cost(spec, 32, 32) != cost(spec, 32, 36)
    assert CostModel(spec, 32).one(spec.widths) == cost(spec, 32)


def test_closed_formula_of_one_layer():
    """The first transposed convolution at 16x20: 3 * 3 * in * out multiplies at each of its 4x5 inputs."""
    layers = {layer.name: layer for layer in layer_costs(ResnetSpec.uniform(3, blocks=1), 16, 20)}
    up = layers["up.0.conv"]
    assert (up.kind, up.out_shape) == ("conv_transpose2d", (6, 8, 10))
    assert up.weights == 3 * 3 * 12 * 6
    assert up.params == up.weights + 6
    assert up.true_macs == up.weights * 4 * 5
    assert up.macs == up.weights * 8 * 10


def test_layers_add_up():
    spec = ResnetSpec.uniform(3, separable=("residual",))
    layers = layer_costs(spec, 32)
    total = cost(spec, 32)
    assert {name: sum(getattr(layer, name) for layer in layers) for name in total} == total


def test_chunks_join(monkeypatch):
    space = small_space(blocks=6)
    model = CostModel(space.spec, 32)
    widths = space.all_widths(np.array(genomes(space, 10)))
    whole = model(widths)
    monkeypatch.setattr("pocketgan.elastic.cost._CHUNK", 3)
    parts = model(widths)
    assert all(
        np.array_equal(getattr(whole, name), getattr(parts, name)) for name in ("params", "macs", "true_macs")
    )


def test_wider_than_the_model_was_made_with():
    spec = ResnetSpec.uniform(3, separable=("residual",))
    widths = tuple(range(64, 64 + len(spec.widths)))
    assert CostModel(spec, 256).one(widths) == cost(spec.resized(widths), 256)


def test_norms_that_follow_no_convolution():
    """Those of a SPADE with instance norm take sums and upsampled maps."""
    spec = SpadeSpec.uniform(1, in_channels=4, norm="instance", separable=("modulation",))
    widths = tuple(1 + position % 3 for position in range(len(spec.widths)))
    assert CostModel(spec, 128).one(widths) == cost(spec.resized(widths), 128)


@pytest.mark.parametrize(
    ("text", "spec", "size"),
    [
        ("4_2_1,depth=3_1,kernel=7_5_3", ResnetSpec.uniform(1, separable=("residual",)), (16, 24)),
        ("4_2_1,depth=2_0,kernel=5_3", ResnetSpec.uniform(1, norm="batch"), (16, 16)),
        ("4_2_1,depth=2_1", MunitSpec.uniform(1), (16, 16)),
        ("2_1,depth=1_0", UnetSpec.uniform(1, levels=5), (32, 64)),
    ],
)
def test_spaces_with_depth_and_kernels(text, spec, size):
    space = space_named(text, spec)
    drawn = [space.largest, space.smallest, *genomes(space, 20)]
    found = CostModel(space.spec, *size).of(space, np.array(drawn))
    for i, genome in enumerate(drawn):
        assert found.at(i) == cost(space.subspec(genome), *size), genome


def test_spaces_of_widths_need_no_other_model():
    space = small_space(blocks=1)
    model, drawn = CostModel(space.spec, 16), np.array(genomes(space, 5))
    assert model.of(space, drawn).macs.tolist() == model(space.all_widths(drawn)).macs.tolist()
    assert not model._others
