"""Costs beside what independent counters find, for which see `test_conformance`."""

import numpy as np

from pocketgan.elastic.cost import CostModel, cost
from pocketgan.elastic.layer_costs import layer_costs
from pocketgan.networks import ResnetSpec
from tests.elastic.toys import genomes, small_space


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


def test_spaces_of_widths_need_no_other_model():
    space = small_space(blocks=1)
    model, drawn = CostModel(space.spec, 16), np.array(genomes(space, 5))
    assert model.of(space, drawn).macs.tolist() == model(space.all_widths(drawn)).macs.tolist()
    assert not model._others
