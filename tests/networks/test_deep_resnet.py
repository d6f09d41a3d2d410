"""OMGD's deep mobile ResNet and the block that makes it deep."""

import pytest
import torch
import torch.nn.functional as F

from pocketgan.errors import SpecError
from pocketgan.networks import DeepResnetSpec, parse_spec
from pocketgan.networks.expansion import ExpansionBlock, expansion_groups
from tests.elastic.toys import filled, image


@torch.no_grad()
def test_an_expansion_block_written_out():
    """The first norm counts in the border, which reflects the input."""
    channels = {group.name: group.factor * 3 for group in expansion_groups("e", 1, 0)}
    block = filled(ExpansionBlock("e", 3, channels, "instance")).double()
    state, x = block.state_dict(), image(8)

    def conv(y, i):
        return F.instance_norm(F.conv2d(y, state[f"layers.{i}.conv.weight"], state[f"layers.{i}.conv.bias"]))

    y = conv(F.pad(x, (1, 1, 1, 1), mode="reflect"), 0).relu()
    y = conv(conv(y, 1).relu(), 2).relu()
    y = conv(F.pad(y, (1, 1, 1, 1), mode="reflect"), 3)
    torch.testing.assert_close(block(x), x + y)
    assert [state[f"layers.{i}.conv.weight"].shape[0] for i in range(4)] == [12, 12, 3, 3]


def test_eight_numbers():
    spec = parse_spec("deep-resnet:8_7_6_5_4_3_2_1")
    assert spec == DeepResnetSpec.of((8, 7, 6, 5, 4, 3, 2, 1))
    assert spec.genome == (8, 7, 6, 5, 4, 3, 2, 1)
    channels = spec.channels
    names = ("stem", "down1.first", "down2.second", "up1.second", "up2.second")
    assert [channels[name] for name in names] == [8, 14, 24, 4, 1]
    assert [channels[f"inner{i}"] for i in range(9)] == [20] * 3 + [16] * 3 + [12] * 3
    assert [channels[f"middle.0.{inner}"] for inner in ("wide", "wider", "narrow")] == [96, 96, 24]
    assert parse_spec("deep-resnet:4") == DeepResnetSpec.uniform(4)


def test_taps_are_those_of_a_resnet():
    spec, seen = DeepResnetSpec.of("1_1_2_1_1_1_1_1"), {}
    y = spec.build()(torch.rand(1, 3, 16, 24), lambda name, value: seen.setdefault(name, value))
    assert y.shape == (1, 3, 16, 24)
    assert list(seen) == ["down", *(f"block{i}" for i in range(1, 10))]
    assert all(value.shape == (1, spec.tap_channels(name), 4, 6) for name, value in seen.items())
    assert spec.taps == ("down", "block3", "block6", "block9")
    with pytest.raises(SpecError) as error:
        spec.tap_channels("block10")
    assert str(error.value) == "no tap 'block10' in a deep resnet; it has down, block1 ... block9"
