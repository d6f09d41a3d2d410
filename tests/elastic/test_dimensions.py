"""Width groups are derived: their dimensions have the right sizes, and permuting one changes nothing."""

import pytest
import torch

from pocketgan.elastic.dimensions import dimensions, shapes
from pocketgan.networks import ResnetSpec
from tests.elastic.toys import SHAPES, filled, genomes, image, name_of, small_space

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=name_of)


@each_shape
def test_sizes_at_other_widths(shape):
    space = small_space(**shape)
    dims = dimensions(space.spec)
    for genome in genomes(space, 10):
        widths = space.widths(genome)
        for name, wanted in shapes(space.spec.resized(widths)).items():
            found = [d.constant + sum(factor * widths[g] for g, factor in d.factors) for d in dims[name]]
            assert found == list(wanted), name


def test_groups_of_a_small_resnet():
    """Written out by hand."""
    dims = dimensions(ResnetSpec.uniform(3, blocks=1, separable=("residual",)))
    groups = {name: tuple(d.group for d in own) for name, own in dims.items()}
    stem, down, stream, inner, up, last = range(6)
    assert groups["stem.conv.weight"] == (stem, None, None, None)
    assert groups["down.0.conv.weight"] == (down, stem, None, None)
    assert groups["down.1.conv.weight"] == (stream, down, None, None)
    assert groups["blocks.0.first.conv.depthwise.weight"] == (stream, None, None, None)
    assert groups["blocks.0.first.conv.pointwise.weight"] == (inner, stream, None, None)
    assert groups["blocks.0.second.conv.depthwise.bias"] == (inner,)
    assert groups["blocks.0.second.conv.pointwise.weight"] == (stream, inner, None, None)
    assert groups["up.0.conv.weight"] == (stream, up, None, None)
    assert groups["up.1.conv.weight"] == (up, last, None, None)
    assert groups["head.conv.weight"] == (None, last, None, None)
    assert groups["head.conv.bias"] == (None,)


@each_shape
@torch.no_grad()
def test_permuting_a_group_leaves_the_function(shape):
    spec, x = small_space(**shape).spec, image()
    network = filled(spec.build()).double().eval()
    wanted, state = network(x), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for group, name in enumerate(spec.groups):
        places = [
            (n, axis) for n, dims in dimensions(spec).items() for axis, d in enumerate(dims) if d.group == group
        ]
        (size,) = {state[n].shape[axis] for n, axis in places}
        order = torch.arange(size).roll(1)
        moved = dict(state)
        for n, axis in places:
            moved[n] = moved[n].index_select(axis, order)
        assert any(not torch.equal(moved[n], state[n]) for n in state), name
        network.load_state_dict(moved)
        torch.testing.assert_close(
            network(x), wanted, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )
