"""The families here, traced as if they were a user's: groups, slices and costs are those of their specs."""

import random

import pytest
import torch
from torch import nn

from pocketgan.elastic.cost import cost
from pocketgan.elastic.dimensions import parts
from pocketgan.elastic.supernet import Supernet
from pocketgan.networks import DeepResnetSpec, MunitSpec, NetworkSpec, ResnetSpec, SpadeSpec, UnetSpec
from pocketgan.networks.presets import specs
from pocketgan.networks.traced import TracedSpec
from pocketgan.tracing.trace import trace

FAMILIES = {
    "resnet": (ResnetSpec.uniform(4, blocks=2), 16),
    "mobile resnet": (ResnetSpec.uniform(4, blocks=2, separable=("residual", "down", "up"), norm="batch"), 16),
    "deep resnet": (DeepResnetSpec.uniform(4), 16),
    "unet": (UnetSpec.uniform(4, levels=5, norm="instance"), 64),
    "deep unet": (UnetSpec.uniform(4, levels=5, residuals=1), 64),
    "spade": (SpadeSpec.uniform(4, in_channels=5, upsampling="normal"), 64),
    "munit": (MunitSpec.uniform(4), 32),
}


def test_every_family_is_here():
    families = {spec for spec in specs().values() if issubclass(spec, NetworkSpec)} - {TracedSpec}
    assert families == {type(spec) for spec, _ in FAMILIES.values()}


class Plain(nn.Module):
    """The network as a user would hand it in: images alone go in."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)


def cells(spec, prefix=""):
    """For each axis of each tensor, what stands at each index: a group and a unit of it, or what never moves."""
    found = {}
    for name, axes in parts(spec).items():
        for axis, held in enumerate(axes):
            row = []
            for part in held:
                row += [None] * part.constant
                for group, factor in part.factors:
                    unit = factor if spec.whole else 1
                    row += [(group, i // unit) for i in range(factor * spec.widths[group])]
            found[name.removeprefix(prefix), axis] = row
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_tracing_finds_what_the_spec_states(name):
    spec, side = FAMILIES[name]
    torch.manual_seed(0)
    network, x = spec.build().eval(), torch.rand(2, spec.in_channels, side, side)
    traced = trace(Plain(network), x, open_sides=False)
    stated, found = cells(spec), cells(traced.spec, "network.")
    assert set(found) <= set(stated)
    there, back, more = {}, {}, set()
    for place, row in found.items():
        assert len(row) == len(stated[place]), place
        for own, other in zip(stated[place], row, strict=True):
            if own is None and other is not None:
                more.add(other[0])  # channels that the spec leaves as they are
                continue
            assert there.setdefault(own, other) == other, place
            assert back.setdefault(other, own) == own, place
    # the style and the hidden layers of its MLP, which the spec leaves as they are
    assert len(more) == (3 if name == "munit" else 0)
    assert len({cell[0] for cell in there if cell}) == len(traced.spec.groups) - len(more)

    whole, of_traced = Supernet(spec), Supernet(traced.spec)
    whole.network.load_state_dict(network.state_dict())
    of_traced.network.load_state_dict(traced.state)
    rng = random.Random(0)
    for widths in (spec.widths, tuple(rng.randint(1, n) for n in spec.widths)):
        same = list(traced.spec.widths)
        kept = {cell for row in cells(spec.resized(widths)).values() for cell in row if cell}
        for group in {there[cell][0] for cell in kept if cell in there}:
            held = {there[cell][1] for cell in kept if there.get(cell, (None,))[0] == group}
            assert held == set(range(len(held))), "leading channels"
            same[group] = len(held)
        small, other = whole.extract(widths).eval(), of_traced.extract(tuple(same)).eval()
        tensors = small.state_dict()
        for place, tensor in other.state_dict().items():
            assert torch.equal(tensor, tensors[place.removeprefix("network.")]), place
        with torch.no_grad():
            assert torch.equal(small(x), other(x))
        costs = cost(small.spec, side), cost(other.spec, side)
        assert costs[0]["macs"] == costs[1]["macs"]
        assert costs[0]["true_macs"] == costs[1]["true_macs"]
        used = sum(tensors[n.removeprefix("network.")].numel() for n, _ in other.named_parameters())
        assert costs[1]["params"] == used <= costs[0]["params"]
