"""Supernet == extracted subnet == full network with inactive channels zeroed; gradients too."""

import pytest
import torch

from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.networks import ResnetSpec
from tests.elastic.toys import SHAPES, filled, genomes, image, masked_output, name_of, small_space, supernet_of

shapes = pytest.mark.parametrize("shape", SHAPES, ids=name_of)


@shapes
@torch.no_grad()
def test_outputs(shape):
    space = small_space(**shape)
    supernet, x = supernet_of(space), image()
    for genome in genomes(space, 20):
        widths = space.widths(genome)
        output = supernet(x, widths)
        subnet = supernet.extract(widths)
        assert subnet.spec == space.spec.resized(widths)
        assert torch.equal(output, subnet(x)), genome
        assert output.std() > 1e-3
        torch.testing.assert_close(output, masked_output(supernet.network, widths, x), rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_outputs_in_float32():
    space = small_space(separable=("residual",))
    supernet, x = supernet_of(space).float(), image().float()
    for genome in genomes(space, 5):
        widths = space.widths(genome)
        assert torch.equal(supernet(x, widths), supernet.extract(widths)(x))


@shapes
def test_gradients(shape):
    space = small_space(**shape)
    supernet, x = supernet_of(space), image()
    for genome in genomes(space, 20, seed=2):
        widths = space.widths(genome)
        subnet = supernet.extract(widths)
        supernet.zero_grad()
        for network in (lambda x, widths=widths: supernet(x, widths), subnet):
            output = network(x)
            (output * torch.linspace(-1, 1, output.numel(), dtype=x.dtype).view_as(output)).sum().backward()
        wanted = dict(subnet.named_parameters())
        for name, parameter in supernet.network.named_parameters():
            slices = tuple(slice(size) for size in wanted[name].shape)
            torch.testing.assert_close(parameter.grad[slices], wanted[name].grad, rtol=1e-12, atol=1e-12)
            outside = parameter.grad.clone()
            outside[slices] = 0
            assert not outside.any(), name


def test_training_mode_reaches_the_subnet():
    """Dropout and batch statistics act in training only; the statistics of inactive channels stay."""
    space = small_space(separable=(), norm="batch", blocks=6)
    supernet, x = supernet_of(space), image(batch=4)
    widths = space.widths(space.smallest)
    calm = supernet(x, widths)
    before = {name: value.clone() for name, value in supernet.network.named_buffers()}
    supernet.train()
    assert not torch.equal(supernet(x, widths), calm)
    subnet = supernet.extract(widths)
    for name, value in supernet.network.named_buffers():
        if name.endswith("running_mean"):
            active = len(subnet.get_buffer(name))
            assert not torch.equal(value[:active], before[name][:active])
            assert torch.equal(value[active:], before[name][active:])


def test_the_widest_subnet_is_the_network_itself():
    space = small_space(separable=("residual",), blocks=6)
    supernet, x = supernet_of(space), image()
    assert torch.equal(supernet(x), supernet.network(x))
    assert torch.equal(supernet(x, space.spec.widths), supernet.network(x))


def test_extracted_weights_are_its_own():
    space = small_space(separable=("residual",), blocks=6)
    supernet, x = supernet_of(space), image()
    subnet = supernet.extract(space.widths(space.smallest))
    output = subnet(x)
    filled(supernet, seed=5)
    assert torch.equal(subnet(x), output)


def test_taps_pass_through():
    space = small_space(separable=("residual",), blocks=6)
    supernet, x, seen = supernet_of(space), image(), {}
    widths = space.widths(space.smallest)
    supernet(x, widths, lambda name, value: seen.setdefault(name, value))
    spec = space.spec.resized(widths)
    assert {name: seen[name].shape[1] for name in spec.taps} == {
        name: spec.tap_channels(name) for name in spec.taps
    }


def test_wider_than_the_supernet():
    supernet = Supernet(ResnetSpec.uniform(2, blocks=1))
    with pytest.raises(SpecError) as error:
        supernet(image().float(), (3, 2, 2, 2, 2, 2))
    assert str(error.value) == "a subnet wants 3 channels where the supernet has 2; widen the supernet"
