"""SPADE under the elastic machinery: every subnet equals its oracle, whatever is decomposed."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.elastic.cost import CostModel, cost, official_macs
from pocketgan.elastic.dimensions import dimensions, shapes
from pocketgan.elastic.order import keep_important
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.networks import SpadeSpec, parse_spec
from pocketgan.networks.layers import InstanceNorm
from tests.elastic.toys import filled, genomes, supernet_of

LABELS = 4
SHAPES = {
    "mobile": dict(separable=("modulation",)),
    "dense": dict(),
    "all-decomposed": dict(separable=("modulation", "residual"), separable_norm="batch"),
    "instance": dict(separable=("modulation",), separable_norm=None, norm="instance"),
}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def small_space(options=(3, 2, 1), **shape) -> SearchSpace:
    return uniform_space(SpadeSpec.uniform(1, in_channels=LABELS, upsampling="normal", **shape), options)


def semantics(batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, LABELS, 32, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def masked_output(network: nn.Module, spec: SpadeSpec, x: torch.Tensor) -> torch.Tensor:
    """The output of the full network in which every channel beyond those of `spec` is zero wherever it appears."""

    def keep(module: nn.Module, channels: int) -> None:
        mask = torch.arange(10_000) < channels
        handles.append(module.register_forward_hook(lambda m, i, y: y * mask[: y.shape[1], None, None]))

    handles = []
    keep(network.stem, spec.blocks["middle1"].into)
    for module, block in zip([*network.middle, *network.up], spec.blocks.values(), strict=True):
        keep(module.conv0, block.inner)
        keep(module, block.out)
        for name, channels, hidden in zip(
            ("norm0", "norm1", "norm_shortcut"), (block.into, block.inner, block.into), block.hidden, strict=False
        ):
            norm = module.get_submodule(name)
            keep(norm, channels)
            keep(norm.shared, hidden)
            for conv, into in ((norm.gamma, hidden), (norm.beta, hidden)):
                if hasattr(conv, "norm"):
                    keep(conv.norm, into)
        for conv, into in ((module.conv0, block.into), (module.conv1, block.inner)):
            if hasattr(conv, "norm"):
                keep(conv.norm, into)
    try:
        return network(x)
    finally:
        for handle in handles:
            handle.remove()


@each_shape
@torch.no_grad()
def test_outputs(shape):
    space = small_space(**shape)
    supernet, x = supernet_of(space), semantics()
    for genome in genomes(space, 20):
        widths = space.widths(genome)
        output = supernet(x, widths)
        subnet = supernet.extract(widths)
        assert torch.equal(output, subnet(x)), genome
        assert output.std() > 1e-3
        oracle = masked_output(supernet.network, subnet.spec, x)
        torch.testing.assert_close(output, oracle, rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_groups_that_no_published_list_separates():
    space = small_space(separable=("modulation",))
    supernet, x = supernet_of(space), semantics()
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        widths = tuple(torch.randint(1, 4, (30,), generator=generator).tolist())
        subnet = supernet.extract(widths)
        assert torch.equal(supernet(x, widths), subnet(x))
        torch.testing.assert_close(subnet(x), masked_output(supernet.network, subnet.spec, x), rtol=1e-6, atol=1e-6)


@each_shape
def test_gradients(shape):
    space = small_space((2, 1), **shape)
    supernet, x = supernet_of(space), semantics()
    for genome in genomes(space, 20, seed=2):
        widths = space.widths(genome)
        subnet = supernet.extract(widths)
        supernet.zero_grad()
        for output in (supernet(x, widths), subnet(x)):
            (output * torch.linspace(-1, 1, output.numel(), dtype=x.dtype).view_as(output)).sum().backward()
        wanted = dict(subnet.named_parameters())
        for name, parameter in supernet.network.named_parameters():
            slices = tuple(slice(size) for size in wanted[name].shape)
            torch.testing.assert_close(parameter.grad[slices], wanted[name].grad, rtol=1e-12, atol=1e-12)
            outside = parameter.grad.clone()
            outside[slices] = 0
            assert not outside.any(), name


@each_shape
@torch.no_grad()
def test_permuting_a_group_leaves_the_function(shape):
    spec, x = small_space((2,), **shape).spec, semantics(1)
    network = filled(spec.build()).double().eval()
    wanted, state = network(x), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for group, name in enumerate(spec.groups):
        places = [
            (n, axis) for n, dims in dimensions(spec).items() for axis, d in enumerate(dims) if d.group == group
        ]
        (size,) = {state[n].shape[axis] for n, axis in places}
        moved = dict(state)
        for n, axis in places:
            moved[n] = moved[n].index_select(axis, torch.arange(size).roll(1))
        network.load_state_dict(moved)
        torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9, msg=name)


@torch.no_grad()
def test_own_widths_keep_the_function():
    spec, x = small_space((3,), separable=("modulation",)).spec, semantics()
    network = filled(spec.build()).double().eval()
    wanted = network(x)
    state = keep_important(network, spec, spec.widths)
    assert not torch.equal(state["stem.weight"], network.stem.weight)
    network.load_state_dict(state)
    torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9)


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


@torch.no_grad()
def test_statistics_of_inactive_channels_stay():
    space = small_space(separable=("modulation",))
    supernet, x = supernet_of(space).train(), semantics(4)
    before = {name: value.clone() for name, value in supernet.network.named_buffers()}
    widths = space.widths(space.smallest)
    supernet(x, widths)
    small = shapes(space.spec.resized(widths))
    for name, value in supernet.network.named_buffers():
        if name.endswith("running_mean"):
            active = small[name][0]
            assert not torch.equal(value[:active], before[name][:active])
            assert torch.equal(value[active:], before[name][active:])


def counted(spec: SpadeSpec, height: int, width: int) -> dict[str, int]:
    """By PyTorch's own counter, and for the papers' convention by a hook at every convolution and norm."""
    paper = 0

    def count(module, inputs, output):
        nonlocal paper
        paper += (
            output.numel()
            if isinstance(module, InstanceNorm)
            else module.weight.numel() * math.prod(output.shape[2:])
        )

    with torch.device("meta"):
        network = spec.build().eval()
        x = torch.empty(1, LABELS, height, width)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, InstanceNorm)):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as flops:
        network(x)
    params = sum(p.numel() for p in network.parameters())
    return {"params": params, "macs": paper, "true_macs": flops.get_total_flops() // 2}


@each_shape
def test_three_counters_agree(shape):
    space = small_space((7, 4, 2, 1), **shape)
    drawn = genomes(space, 20)
    found = CostModel(space.spec, 32, 96)(np.array([space.widths(genome) for genome in drawn]))
    for i, genome in enumerate(drawn):
        spec = space.spec.resized(space.widths(genome))
        assert found.at(i) == cost(spec, 32, 96) == counted(spec, 32, 96), genome


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
    blank = SpadeSpec.uniform(1).mobile
    assert {name: space_named(name, blank).size for name in blank.spaces} == sizes
    space = space_named("channels-48", blank)
    assert cost(space.spec, 256, 512)["params"] == 39_975_315
    assert space_named("4_2", SpadeSpec.uniform(1)).size == 2**8
    with pytest.raises(SpecError, match="unknown search space 'channels-49'; did you mean"):
        space_named("channels-49", blank)


def test_spectral_networks_are_not_cut():
    with pytest.raises(SpecError) as error:
        small_space(spectral=True)
    text = "a search space is over networks without spectral norm; leave 'spectral' out of its spec"
    assert str(error.value) == text


def test_supernet_holds_one_network():
    spec = SpadeSpec.uniform(1, in_channels=LABELS)
    assert sum(p.numel() for p in Supernet(spec).network.parameters()) == cost(spec, 64)["params"]
