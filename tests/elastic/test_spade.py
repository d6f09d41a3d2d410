"""What is particular to SPADE: pruning written out, the published spaces and costs."""

import numpy as np
import pytest
import torch

from pocketgan.elastic.cost import cost, official_macs
from pocketgan.elastic.order import keep_important
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.networks import SpadeSpec, parse_spec
from tests.elastic.oracle import counted
from tests.elastic.toys import filled, supernet_of

LABELS = 4


def small_space(options=(3, 2, 1), **shape) -> SearchSpace:
    return uniform_space(SpadeSpec.uniform(1, in_channels=LABELS, upsampling="normal", **shape), options)


@torch.no_grad()
def test_pruning_an_up_block_written_out():
    """conv1 chooses the outputs by score; the shortcut and the norms follow."""
    spec = small_space((2,), separable=("modulation",)).spec
    network = filled(spec.build())
    full = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    found = keep_important(network, spec, spec.resized((1,) * 30).widths)

    def best(weight, n):
        return np.argsort(-np.abs(weight).sum((1, 2, 3)), kind="stable")[:n]

    stream = best(full["stem.weight"], 16)
    inner = best(full["up.0.conv0.weight"][:, stream], 8)
    out = best(full["up.0.conv1.weight"][:, inner], 8)
    hidden = best(full["up.0.norm1.shared.weight"], 2)
    assert np.array_equal(found["up.0.conv1.weight"], full["up.0.conv1.weight"][out][:, inner])
    assert np.array_equal(found["up.0.shortcut.weight"], full["up.0.shortcut.weight"][out][:, stream])
    assert np.array_equal(found["up.0.norm1.norm.running_var"], full["up.0.norm1.norm.running_var"][inner])
    gamma = full["up.0.norm1.gamma.pointwise.weight"]
    assert np.array_equal(found["up.0.norm1.gamma.pointwise.weight"], gamma[inner][:, hidden])


def test_spectral_norm_costs_nothing():
    plain, spectral = (SpadeSpec.uniform(2, in_channels=LABELS, spectral=on) for on in (False, True))
    assert cost(spectral, 64, 128) == cost(plain, 64, 128)


def test_most():
    """The last block of 'most' ties its hidden channels to the block before it."""
    spec = SpadeSpec.uniform(4, in_channels=LABELS, upsampling="most")
    space = SearchSpace.over("small", spec, ((4, 2),) * 8 + ((2, 1),))
    supernet, x = supernet_of(space).float(), torch.rand(1, LABELS, 128, 256)
    widths = space.widths(space.smallest)
    assert supernet.spec == spec
    with torch.no_grad():
        assert torch.equal(supernet(x, widths), supernet.extract(widths)(x))
    assert cost(spec.resized(widths), 128, 256) == counted(spec.resized(widths), 128, 256)


#: the published table: name, widths, is mobile, data set, parameters, legacy MACs and MACs in units of 1e6
PUBLISHED = [
    ("64", False, "cityscapes", 93_048_003, 281_277, 281_277),
    ("64", False, "coco", 97_480_899, 191_140, 191_140),
    ("64", True, "cityscapes", 70_680_771, 118_603, 118_737),
    ("48", True, "cityscapes", 39_975_315, 71_056, 71_157),
    ("64", True, "coco", 75_113_667, 108_798, 108_865),
    ("32_32_32_32_32_24_24_24", True, "cityscapes", 17_647_899, 26_028, 26_078),
    ("32_40_40_32_40_24_32_24", True, "cityscapes", 21_002_811, 31_114, 31_168),
    ("32_32_32_48_32_24_24_32", True, "cityscapes", 20_174_275, 31_155, 31_218),
    ("32_32_48_32_32_32_32_24", True, "cityscapes", 20_425_019, 31_608, 31_663),
    ("40_32_32_40_32_40_24_24", True, "coco", 25_985_755, 35_415, 35_441),
]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row[0]}{'-mobile' * row[1]}-{row[2]}")
def test_published_costs(row):
    numbers, mobile, data, params, legacy, macs = row
    spec = parse_spec(f"{'mobile-' * mobile}spade:{numbers}@{data}")
    size = (256, 512) if data == "cityscapes" else (256, 256)
    found = cost(spec, *size) | official_macs(spec, *size)
    assert found["params"] == params
    assert [round(found[name] / 1e6) for name in ("legacy_macs", "macs", "true_macs")] == [legacy, macs, legacy]


def test_published_spaces():
    sizes = {"channels-48": 15_552, "channels-64": 128_000, "channels-64-coco": 390_625, "channels-64_2": 5_764_801}
    assert {name: space_named(name, SpadeSpec.uniform(1).mobile).size for name in SpadeSpec.spaces} == sizes
    space = space_named("channels-48", SpadeSpec.uniform(1).mobile)
    assert cost(space.spec, 256, 512)["params"] == 39_975_315
    assert space_named("4_2", SpadeSpec.uniform(1)).size == 2**8
    with pytest.raises(SpecError, match="unknown search space 'channels-49'; did you mean"):
        space_named("channels-49", SpadeSpec.uniform(1).mobile)


def test_spectral_networks_are_not_cut():
    with pytest.raises(SpecError) as error:
        small_space(spectral=True)
    text = "a search space is over networks without spectral norm; leave 'spectral' out of its spec"
    assert str(error.value) == text


def test_supernet_holds_one_network():
    spec = SpadeSpec.uniform(1, in_channels=LABELS)
    assert sum(p.numel() for p in Supernet(spec).network.parameters()) == cost(spec, 64)["params"]
