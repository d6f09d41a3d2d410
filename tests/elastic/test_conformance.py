"""What holds for every network: subnet == extracted network == full network with inactive channels zeroed, and all
that follows from which channels belong together. A new family, or a new form of one, is one line in `EXAMPLES`."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketgan.elastic.cost import CostModel, cost
from pocketgan.elastic.dimensions import dimensions, parts
from pocketgan.elastic.order import gather, keep_important
from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import (
    DeepResnetSpec,
    GeneratorSpec,
    MunitSpec,
    NetworkSpec,
    ResnetSpec,
    SpadeSpec,
    UnetSpec,
)
from tests.elastic.oracle import counted, oracle
from tests.elastic.toys import filled, genomes, supernet_of


class Example(NamedTuple):
    """A network, the sides of the images that it is given, and what may be chosen beside its widths."""

    spec: GeneratorSpec
    height: int = 16
    width: int = 16
    further: str = ""


MOBILE = ("residual",)
EXAMPLES = {
    "resnet": Example(ResnetSpec.uniform(1, blocks=6), 16, 20),
    "resnet-batch": Example(ResnetSpec.uniform(1, separable=("down",), norm="batch", blocks=6)),
    "resnet-mobile": Example(ResnetSpec.uniform(1, separable=MOBILE)),
    "resnet-input-skip": Example(ResnetSpec.uniform(1, separable=MOBILE, input_skip=True)),
    "resnet-mobile-batch": Example(ResnetSpec.uniform(1, separable=MOBILE, norm="batch", separable_norm="batch")),
    "resnet-decomposed": Example(ResnetSpec.uniform(1, separable=("down", "residual", "up"), blocks=6)),
    "resnet-resize": Example(ResnetSpec.uniform(1, separable=MOBILE, blocks=3, ends=3, up="resize")),
    "resnet-shuffle": Example(
        ResnetSpec.uniform(1, separable=MOBILE, blocks=3, norm="batch", up="shuffle"), further=",ends=7_5_3"
    ),
    "resnet-shuffle-decomposed": Example(ResnetSpec.uniform(1, separable=("up",), blocks=3, up="shuffle")),
    "resnet-forms": Example(ResnetSpec.uniform(1), further=",depth=3_2_1,kernel=7_5_3"),
    "resnet-mobile-forms": Example(
        ResnetSpec.uniform(1, separable=MOBILE, norm="batch"), further=",depth=3_1_0,kernel=7_5_3"
    ),
    "deep-resnet": Example(DeepResnetSpec.uniform(1)),
    "unet": Example(UnetSpec.uniform(1, levels=5), 32, 64),
    "unet-instance": Example(UnetSpec.uniform(1, levels=5, norm="instance"), 64, 64),
    "unet-decomposed": Example(UnetSpec.uniform(1, levels=5, norm="instance", separable=("down", "up")), 64, 64),
    "unet-deep": Example(UnetSpec.uniform(1, levels=5), 32, 32, ",depth=1_0"),
    "spade": Example(SpadeSpec.uniform(1, in_channels=4, upsampling="normal"), 32, 64),
    "spade-mobile": Example(SpadeSpec.uniform(1, in_channels=4, upsampling="normal").mobile, 32, 64),
    "spade-decomposed": Example(
        SpadeSpec.uniform(
            1, in_channels=4, upsampling="more", separable=("modulation", "residual"), separable_norm="batch"
        ),
        *(64, 64),
    ),
    "spade-instance": Example(
        SpadeSpec.uniform(
            1,
            in_channels=4,
            upsampling="normal",
            separable=("modulation",),
            separable_norm=None,
            norm="instance",
        ),
        *(32, 64),
    ),
    "munit": Example(MunitSpec.uniform(1, mlp_width=5, blocks=2)),
    "munit-mobile": Example(MunitSpec.uniform(1, mlp_width=5).mobile, further=",depth=3_1"),
    "munit-up-decomposed": Example(MunitSpec.uniform(1, mlp_width=5, separable=("up",), blocks=3)),
    "munit-no-encoder": Example(MunitSpec.uniform(1, mlp_width=5, style_encoder=False, blocks=2).mobile),
}
each = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())


def space_of(example: Example, options: str = "3_2_1") -> SearchSpace:
    return space_named(options + example.further, example.spec)


def image(example: Example, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    size = (batch, example.spec.in_channels, example.height, example.width)
    return torch.rand(size, generator=generator, dtype=torch.float64) * 2 - 1


def subnets(space: SearchSpace, count: int, seed: int = 0) -> list[NetworkSpec]:
    """The smallest, some of the space, and two whose widths no list of a family sets free of each other."""
    drawn = [space.subspec(genome) for genome in (space.smallest, *genomes(space, count - 3, seed))]
    rng = np.random.default_rng(seed)
    return [*drawn, *(spec.resized(tuple(rng.integers(1, 4, len(spec.widths)).tolist())) for spec in drawn[-2:])]


def backward(output: Tensor) -> None:
    """Every pixel with another weight."""
    (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()


def network_of(example: Example, options: str) -> nn.Module:
    return filled(space_of(example, options).spec.build()).double().eval()


@each
@torch.no_grad()
def test_outputs(example):
    space, x = space_of(example), image(example)
    supernet = supernet_of(space)
    for spec in subnets(space, 7):
        output, subnet = supernet(x, spec), supernet.extract(spec)
        assert subnet.spec == spec
        assert torch.equal(output, subnet(x)), spec
        assert output.std() > 1e-3
        torch.testing.assert_close(output, oracle(supernet, spec, x), rtol=1e-6, atol=1e-6)
    supernet, x = supernet.float(), x.float()
    assert torch.equal(supernet(x, spec), supernet.extract(spec)(x))


@each
def test_gradients(example):
    """In the supernet they are where the oracle has them, in the subnet those of its own tensors."""
    space, x = space_of(example), image(example, batch=1)
    supernet, cut = supernet_of(space), supernet_of(space)
    for spec in subnets(space, 5, seed=2):
        found = []
        for run in (supernet, lambda x, spec: oracle(supernet, spec, x)):
            supernet.zero_grad()
            backward(run(x, spec))
            found.append({name: p.grad for name, p in supernet.named_parameters()})
        for name, gradient in found[0].items():
            wanted = found[1][name]
            assert (gradient is None) == (wanted is None), name
            if wanted is not None:
                torch.testing.assert_close(gradient, wanted, rtol=1e-6, atol=1e-9)
        if getattr(spec, "kernel", 3) == getattr(space.spec, "kernel", 3):  # else matrices stand between the two
            subnet = supernet.extract(spec)
            backward(subnet(x))
            with torch.no_grad():
                for name, parameter in cut.network.named_parameters():
                    gradient = found[0][f"network.{name}"]
                    parameter.copy_(torch.zeros_like(parameter) if gradient is None else gradient)
            for name, parameter in cut.extract(spec).named_parameters():
                wanted = subnet.get_parameter(name).grad
                torch.testing.assert_close(parameter.data, wanted, rtol=1e-12, atol=1e-12, msg=name)
                assert int((found[0][f"network.{name}"] != 0).sum()) <= wanted.numel(), name


@each
def test_training_mode_reaches_the_subnet_and_stays_there(example):
    """Batch statistics become those of the subnet trained alone; those of inactive channels stay."""
    space, x = space_of(example), image(example, batch=4)
    supernet, spec = supernet_of(space).train(), space.subspec(space.smallest)
    subnet, before = supernet.extract(spec), {n: b.clone() for n, b in supernet.network.named_buffers()}
    assert torch.equal(supernet(x, spec), subnet(x))
    buffers = dict(subnet.named_buffers())
    for name, buffer in supernet.extract(spec).named_buffers():
        assert torch.equal(buffer, buffers[name]), name
    for name, buffer in supernet.network.named_buffers():
        assert int((buffer != before[name]).sum()) == (buffers[name].numel() if name in buffers else 0), name
    assert not any(module.training for module in skeleton(spec).modules())
    supernet.eval()
    assert torch.equal(supernet(x, spec), supernet.extract(spec)(x))


@each
def test_taps_of_a_subnet(example):
    space, seen = space_of(example), {}
    spec = space.subspec(space.smallest)
    supernet_of(space)(image(example), spec, lambda name, value: seen.setdefault(name, value))
    assert {name: seen[name].shape[1] for name in spec.taps} == {
        name: spec.tap_channels(name) for name in spec.taps
    }


@each
@torch.no_grad()
def test_the_widest_subnet_is_the_network_itself(example):
    space, x = space_of(example), image(example)
    supernet = supernet_of(space)
    for at in (None, space.spec, space.spec.widths):
        assert torch.equal(supernet(x, at), supernet.network(x))


@each
def test_dimensions_are_the_sizes_at_other_widths(example):
    space = space_of(example, "5_4_2_1")
    for spec in subnets(space, 6):
        found = {name: tuple(dim.at(spec.widths) for dim in dims) for name, dims in dimensions(spec).items()}
        assert found == {name: tensor.shape for name, tensor in spec.build().state_dict().items()}


@each
@torch.no_grad()
def test_permuting_a_group_leaves_the_function(example):
    network, x = network_of(example, "2"), image(example, batch=1)
    spec, wanted = network.spec, network(x)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    held = {part for axes in parts(spec).values() for axis in axes for part in axis}
    permuted = 0
    for group, name in enumerate(spec.groups):
        # the smallest: a layer may make several channels of one, as the pixels of a shuffle
        sizes = {part.at(spec.widths) for part in held if part.group == group}
        if not sizes:  # a group of a part that this network has not
            assert all(group not in dict(part.factors) for part in held), name
            continue
        size = min(sizes)
        assert not any(other % size for other in sizes), name
        moved = gather(state, spec, {group: torch.arange(size).roll(1)})
        assert any(not torch.equal(moved[n], state[n]) for n in state), name
        network.load_state_dict(moved)
        torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9, msg=name)
        permuted += 1
    assert permuted > len(spec.groups) / 2


@each
@torch.no_grad()
def test_sorting_by_importance_keeps_the_function(example):
    network, x = network_of(example, "3"), image(example)
    wanted, state = network(x), keep_important(network, network.spec, network.spec.widths)
    assert sum(not torch.equal(state[n], t) for n, t in network.state_dict().items()) > len(state) / 2
    network.load_state_dict(state)
    torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9)


@each
def test_three_counters_agree(example):
    space, size = space_of(example, "7_4_2_1"), (example.height, 2 * example.width)
    drawn = [space.largest, space.smallest, *genomes(space, 4)]
    found = CostModel(space.spec, *size).of(space, np.array(drawn))
    for i, genome in enumerate(drawn):
        spec = space.subspec(genome)
        assert found.at(i) == cost(spec, *size) == counted(spec, *size), genome
