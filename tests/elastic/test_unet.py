"""What is particular to U-Nets and OMGD's deep networks: joins written out, the published spaces and costs."""

import numpy as np
import pytest
import torch

from pocketgan.elastic.cost import cost
from pocketgan.elastic.dimensions import parts
from pocketgan.elastic.order import keep_important
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.networks import DeepResnetSpec, UnetSpec
from tests.elastic.toys import filled


def test_parts_of_a_join():
    spec = UnetSpec.uniform(3, levels=5, residuals=1)
    groups = {n: [[part.group for part in held] for held in axes] for n, axes in parts(spec).items()}
    down1, up1, wide, narrow = (spec.groups.index(g) for g in ("down1", "up1", "join1.0.wide", "join1.0.narrow"))
    assert groups["head.conv.weight"] == [[down1, up1], [None], [None], [None]]
    assert groups["join.0.layers.0.conv.weight"] == [[wide], [down1, up1], [None], [None]]
    assert groups["join.0.layers.3.conv.weight"] == [[down1, up1], [narrow], [None], [None]]
    assert groups["join.0.layers.3.norm.running_var"] == [[down1, up1]]


@torch.no_grad()
def test_pruning_a_join_written_out():
    """A transposed convolution that reads a join takes the kept channels of either part, each part by itself."""
    spec = UnetSpec.uniform(2, levels=5)
    network = filled(spec.build())
    full = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    found = keep_important(network, spec, (1,) * 9)

    def best(weight: np.ndarray, axis: int, n: int) -> np.ndarray:
        return np.argsort(-np.abs(weight).sum(tuple(a for a in range(4) if a != axis)), kind="stable")[:n]

    down = [np.arange(3)]
    for level in range(1, 6):
        down.append(best(full[f"down.{level - 1}.layer.conv.weight"][:, down[-1]], 0, min(2 ** (level - 1), 8)))
    up4 = best(full["up.0.layer.conv.weight"][down[5]], 1, 8)
    join = np.concatenate([down[4], 16 + up4])
    up3 = best(full["up.1.layer.conv.weight"][join], 1, 4)
    assert np.array_equal(found["up.1.layer.conv.weight"], full["up.1.layer.conv.weight"][join][:, up3])
    assert np.array_equal(found["up.1.layer.norm.running_mean"], full["up.1.layer.norm.running_mean"][up3])
    spec.resized((1,) * 9).build().load_state_dict(found)


#: the published table: spec, parameters, legacy MACs with instance norms and true MACs in units of 1e6
PUBLISHED = [
    (UnetSpec.uniform(64), 54_413_955, 18_140, 6_048),
    (UnetSpec.uniform(48), 30_611_427, 10_289, 3_430),
    (UnetSpec.uniform(24), 7_656_435, 2_657, 886),
    (UnetSpec.uniform(16), 3_404_451, 1_219, 406),
    (UnetSpec.uniform(12), 1_915_899, 707, 236),
    (UnetSpec.uniform(8), 852_307, 333, 111),
    (UnetSpec.uniform(16, residuals=2), 44_171_939, 18_344, 17_532),
    (UnetSpec.uniform(12, residuals=2), 24_856_251, 10_340, 9_869),
    (DeepResnetSpec.uniform(24), 5_715_723, 40_836, 39_750),
    (DeepResnetSpec.uniform(16), 2_547_123, 18_281, 17_784),
    (DeepResnetSpec.uniform(12), 1_436_583, 10_357, 10_069),
]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row[0].kind}-{row[1]}")
def test_published_costs(row):
    spec, params, macs, true_macs = row
    found = cost(spec, 256)
    assert found["params"] == params
    assert [round(found[name] / 1e6) for name in ("macs", "true_macs")] == [macs, true_macs]


def test_named_spaces():
    spaces = {name: space_named(name, UnetSpec.uniform(1)) for name in UnetSpec.spaces}
    assert {name: space.size for name, space in spaces.items()} == {"unet-16": 3**8, "unet-64": 5**8}
    assert spaces["unet-16"].spec == UnetSpec.uniform(16)
    space = space_named("8_4", UnetSpec.uniform(1, levels=5, norm="instance"))
    assert space.size == 2**5
    assert space.spec == UnetSpec.uniform(8, levels=5, norm="instance")
    with pytest.raises(SpecError) as error:
        space_named("unet-32", UnetSpec.uniform(1))
    assert str(error.value) == "unknown search space 'unet-32'; did you mean unet-64 or unet-16?"
