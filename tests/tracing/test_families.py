"""The families in this package, traced as if they were a user's: the groups that their specs state come out."""

import pytest
import torch
from torch import nn

from pocketgan.elastic.cost import cost
from pocketgan.elastic.dimensions import parts
from pocketgan.networks import DeepResnetSpec, MunitSpec, ResnetSpec, SpadeSpec, UnetSpec
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
def test_tracing_finds_the_groups_of_the_spec(name):
    spec, side = FAMILIES[name]
    traced = trace(Plain(spec.build()), torch.rand(2, spec.in_channels, side, side), open_sides=False)
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
    assert cost(traced.spec, side)["macs"] == cost(spec, side)["macs"]
    assert cost(traced.spec, side)["true_macs"] == cost(spec, side)["true_macs"]
