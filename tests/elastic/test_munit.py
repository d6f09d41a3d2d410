"""MUNIT under the elastic machinery: one tensor holds the shifts and scales of many norms."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.elastic.cost import CostModel, cost
from pocketgan.elastic.order import gather, keep_important
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.networks import MunitSpec
from pocketgan.networks.layers import InstanceNorm
from tests.elastic.toys import filled, genomes, image, supernet_of

SHAPES = {
    "mobile": dict(separable=("residual", "up")),
    "dense": dict(blocks=2),
    "up-decomposed": dict(separable=("up",), blocks=3),
}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Many tiny layers: threads only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small_space(options=(3, 2, 1), **shape) -> SearchSpace:
    return uniform_space(MunitSpec.uniform(1, mlp_width=5, **shape), options)


def norm_sizes(spec: MunitSpec) -> list[int]:
    """The channels of each adaptive norm."""
    stream = 4 * spec.widths[7]
    return [size for inner in spec.widths[8 + spec.blocks : -2] for size in (4 * inner, stream)]


def rows(spec: MunitSpec, full: MunitSpec) -> torch.Tensor:
    """Which rows of the full network's last linear layer are those of the narrower one, written out."""
    found, start = [], 0
    for have, want in zip(norm_sizes(full), norm_sizes(spec), strict=True):
        for part in (start, start + have):  # shifts, scales
            found += range(part, part + want)
        start += 2 * have
    return torch.tensor(found)


def masked_output(network: nn.Module, spec: MunitSpec, x: torch.Tensor) -> torch.Tensor:
    """The output of the full network in which every channel beyond those of `spec` is zero wherever it appears."""

    def keep(module: nn.Module, channels: int) -> None:
        mask = torch.arange(1000) < channels
        handles.append(module.register_forward_hook(lambda m, i, y: y * mask[: y.shape[1], None, None]))

    def keep_layer_norm(module: nn.Module, channels: int) -> None:
        """Its statistics are those of the channels that are left."""

        def hook(m, inputs, y):
            active = inputs[0][:, :channels]
            mean, std = active.mean((1, 2, 3), keepdim=True), active.std((1, 2, 3), keepdim=True)
            active = (active - mean) / (std + 1e-5)
            active = active * m.gamma[:channels, None, None] + m.beta[:channels, None, None]
            return F.pad(active, (0, 0, 0, 0, 0, y.shape[1] - channels))

        handles.append(module.register_forward_hook(hook))

    def keep_input(layer: nn.Module, channels: int) -> None:
        if hasattr(layer.conv, "norm"):
            keep(layer.conv.norm, channels)

    handles: list = []
    widths, blocks = spec.widths, spec.blocks
    style, (stem, down, stream) = widths[:5], (widths[5], 2 * widths[6], 4 * widths[7])
    for layer, factor, width in zip(network.style_encoder.layers, (1, 2, 4, 4, 4), style, strict=True):
        keep(layer, factor * width)
    encoder, decoder = network.content_encoder, network.decoder
    for layer, channels in zip((encoder.stem, *encoder.down), (stem, down, stream), strict=True):
        keep(layer, channels)
    for block, inner in zip((*encoder.blocks, *decoder.blocks), widths[8 : 8 + 2 * blocks], strict=True):
        keep_input(block.first, stream)
        keep_input(block.second, 4 * inner)
        keep(block.first, 4 * inner)
        keep(block.second, stream)
        if hasattr(block, "first_norm"):
            keep(block.first_norm, 4 * inner)
            keep(block.second_norm, stream)
    for layer, into, out in zip(decoder.up, (stream, 2 * widths[-2]), (2 * widths[-2], widths[-1]), strict=True):
        keep_input(layer.layer, into)
        keep_layer_norm(layer.norm, out)
    try:
        return network(x)
    finally:
        for handle in handles:
            handle.remove()


@each_shape
@torch.no_grad()
def test_outputs(shape):
    space = small_space(**shape)
    supernet, x = supernet_of(space), image()
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
    space = small_space(separable=("residual", "up"))
    supernet, x = supernet_of(space), image()
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        widths = tuple(torch.randint(1, 4, (18,), generator=generator).tolist())
        subnet = supernet.extract(widths)
        assert torch.equal(supernet(x, widths), subnet(x))
        torch.testing.assert_close(subnet(x), masked_output(supernet.network, subnet.spec, x), rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_a_given_style_reaches_the_subnet():
    space = small_space(separable=("residual", "up"))
    supernet, x = supernet_of(space), image()
    widths, style = space.widths(space.smallest), torch.randn(2, 8, 1, 1, dtype=torch.float64)
    assert torch.equal(supernet(x, widths, style=style), supernet.extract(widths)(x, style=style))
    assert torch.equal(supernet(x, style=style), supernet.network(x, style=style))


@each_shape
def test_gradients(shape):
    space = small_space((2, 1), **shape)
    supernet, x = supernet_of(space), image()
    for genome in genomes(space, 20, seed=2):
        widths = space.widths(genome)
        subnet = supernet.extract(widths)
        supernet.zero_grad()
        for output in (supernet(x, widths), subnet(x)):
            (output * torch.linspace(-1, 1, output.numel(), dtype=x.dtype).view_as(output)).sum().backward()
        wanted = dict(subnet.named_parameters())
        for name, parameter in supernet.network.named_parameters():
            slices = tuple(slice(size) for size in wanted[name].shape)
            if name.startswith("mlp.last."):
                slices = (rows(subnet.spec, space.spec), *slices[1:])
            torch.testing.assert_close(parameter.grad[slices], wanted[name].grad, rtol=1e-12, atol=1e-12)
            outside = parameter.grad.clone()
            outside[slices] = 0
            assert not outside.any(), name


@each_shape
@torch.no_grad()
def test_permuting_a_group_leaves_the_function(shape):
    spec, x = small_space((2,), **shape).spec, image(batch=1)
    network = filled(spec.build()).double().eval()
    wanted, state = network(x), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    factors = (1, 2, 4, 4, 4, 1, 2, 4, *(4,) * (2 * spec.blocks), 2, 1)
    for group, factor in enumerate(factors):
        moved = gather(state, spec, {group: torch.arange(2 * factor).roll(1)})
        assert any(not torch.equal(moved[name], state[name]) for name in state), spec.groups[group]
        network.load_state_dict(moved)
        torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9, msg=spec.groups[group])


@each_shape
@torch.no_grad()
def test_own_widths_keep_the_function(shape):
    spec, x = small_space((3,), **shape).spec, image()
    network = filled(spec.build()).double().eval()
    wanted = network(x)
    state = keep_important(network, spec, spec.widths)
    assert not torch.equal(state["mlp.last.weight"], network.mlp.last.weight)
    network.load_state_dict(state)
    torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_pruning_follows_into_the_style():
    """The kept channels of a block of the decoder, and the rows of the last linear layer that are theirs."""
    spec = small_space((2,), blocks=2).spec
    network = filled(spec.build())
    full = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    found = keep_important(network, spec, (1,) * len(spec.widths))

    def best(weight: np.ndarray, n: int) -> np.ndarray:
        return np.argsort(-np.abs(weight).sum((1, 2, 3)), kind="stable")[:n]

    stem = best(full["content_encoder.stem.conv.weight"], 1)
    down = best(full["content_encoder.down.0.conv.weight"][:, stem], 2)
    stream = best(full["content_encoder.down.1.conv.weight"][:, down], 4)
    inner = [best(full[f"decoder.blocks.{i}.first.conv.weight"][:, stream], 4) for i in (0, 1)]
    kept = np.concatenate(
        [8 * part + own for part, own in enumerate([inner[0]] * 2 + [stream] * 2 + [inner[1]] * 2 + [stream] * 2)]
    )
    assert np.array_equal(found["mlp.last.weight"], full["mlp.last.weight"][kept])
    assert np.array_equal(found["mlp.last.bias"], full["mlp.last.bias"][kept])
    second = full["decoder.blocks.1.second.conv.weight"]
    assert np.array_equal(found["decoder.blocks.1.second.conv.weight"], second[stream][:, inner[1]])


@torch.no_grad()
def test_fewer_blocks_are_the_first():
    """The shallower network written out: the last block of encoder and decoder left out by hand."""
    spec = small_space((2,), blocks=2).spec
    supernet, x = Supernet(spec), image()
    filled(supernet).double().eval()
    shallow = MunitSpec.uniform(2, mlp_width=5, blocks=1)
    got = supernet(x, shallow)
    assert torch.equal(got, supernet.extract(shallow)(x))
    network = supernet.network
    numbers = network.mlp(network.style(x))
    content = x
    for layer in (network.content_encoder.stem, *network.content_encoder.down, network.content_encoder.blocks[0]):
        content = layer(content)
    y = network.decoder.blocks[0](content, *numbers[:4])
    for layer in (*network.decoder.up, network.decoder.head):
        y = layer(y)
    torch.testing.assert_close(got, y, rtol=1e-12, atol=1e-12)


def counted(spec: MunitSpec, height: int, width: int) -> dict[str, int]:
    """By PyTorch's own counter, and for the papers' convention by a hook at every convolution and norm."""
    paper = 0

    def count(module, inputs, output):
        nonlocal paper
        positions = output.numel() if isinstance(module, InstanceNorm) else math.prod(output.shape[2:])
        paper += positions * (1 if isinstance(module, InstanceNorm) else module.weight.numel())

    with torch.device("meta"):
        network = spec.build().eval()
        x = torch.empty(1, 3, height, width)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, InstanceNorm)):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as flops:
        network(x)
    params = sum(p.numel() for p in network.parameters())
    return {"params": params, "macs": paper, "true_macs": flops.get_total_flops() // 2}


@pytest.mark.parametrize(
    "shape",
    [dict(separable=("residual", "up")), dict(), dict(separable=("residual",), style_encoder=False)],
    ids=["mobile", "dense", "no-encoder"],
)
def test_three_counters_agree(shape):
    space = small_space((7, 4, 2, 1), blocks=2, **shape)
    drawn = genomes(space, 20)
    found = CostModel(space.spec, 32, 48)(np.array([space.widths(genome) for genome in drawn]))
    for i, genome in enumerate(drawn):
        spec = space.spec.resized(space.widths(genome))
        assert found.at(i) == cost(spec, 32, 48) == counted(spec, 32, 48), genome


def test_published_space():
    space = space_named("channels-64", MunitSpec.uniform(1).mobile)
    assert space.size == 7**10
    assert space.spec == MunitSpec.uniform(64, separable=("residual", "up"))
