"""U-Nets and OMGD's deep networks under the elastic machinery: every subnet equals its oracle."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.elastic.cost import CostModel, cost
from pocketgan.elastic.dimensions import parts
from pocketgan.elastic.order import gather, keep_important
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.networks import DeepResnetSpec, NetworkSpec, UnetSpec
from pocketgan.networks.layers import InstanceNorm
from tests.elastic.toys import filled, genomes, image, supernet_of

#: with sides of one position at the bottom, or of two
BLANKS = {
    "batch": (UnetSpec.uniform(1, levels=5), 32),
    "instance": (UnetSpec.uniform(1, levels=5, norm="instance"), 64),
    "decomposed": (UnetSpec.uniform(1, levels=5, norm="instance", separable=("down", "up")), 64),
    "deep": (UnetSpec.uniform(1, levels=5, residuals=1), 32),
    "deep-resnet": (DeepResnetSpec.uniform(1), 16),
}
each_blank = pytest.mark.parametrize(("blank", "side"), BLANKS.values(), ids=BLANKS.keys())


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Many tiny layers: threads only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small_space(blank: NetworkSpec, options: tuple[int, ...] = (3, 2, 1)) -> SearchSpace:
    return uniform_space(blank, options)


def makers(spec: NetworkSpec) -> dict[str, tuple[str, ...]]:
    """By hand: for each layer, the groups of channels that come out of it."""
    found: dict[str, tuple[str, ...]] = {}

    def block(module: str, name: str, *stream: str) -> None:
        for i, inner in enumerate(("wide", "wider", "narrow")):
            found[f"{module}.layers.{i}"] = (f"{name}.{inner}",)
        found[f"{module}.layers.3"] = stream

    if isinstance(spec, UnetSpec):
        for way, levels in (("down", range(1, spec.levels + 1)), ("up", range(spec.levels - 1, 0, -1))):
            for k, level in enumerate(levels):
                name = f"{way}{level}"
                found[f"{way}.{k}.layer"] = (name,)
                deep = level < spec.levels - (way == "up")
                for i in range(spec.residuals if deep else 0):
                    block(f"{way}.{k}.blocks.{i}", f"{name}.{i}", name)
        for i in range(spec.residuals):
            block(f"join.{i}", f"join1.{i}", "down1", "up1")
        return found
    found["stem"] = ("stem",)
    for way in ("down", "up"):
        for k in (0, 1):
            name = f"{way}{k + 1}"
            found[f"{way}.{k}.first"], found[f"{way}.{k}.second"] = (f"{name}.first",), (f"{name}.second",)
            block(f"{way}.{k}.block", f"{name}.block", f"{name}.first")
    for place, number in enumerate([0, 1, 2, 3, None, None, 4, 5, 6, 7, 8]):
        if number is None:
            block(f"body.{place}", f"middle.{place - 4}", "down2.second")
        else:
            found[f"body.{place}.first"], found[f"body.{place}.second"] = (f"inner{number}",), ("down2.second",)
            found[f"body.{place}.first.conv.norm"] = ("down2.second",)
            found[f"body.{place}.second.conv.norm"] = (f"inner{number}",)
    return found


def masked_output(network: nn.Module, spec: NetworkSpec, x: torch.Tensor) -> torch.Tensor:
    """The output of the full network in which every channel beyond those of `spec` is zero wherever it appears."""
    have, want, handles = network.spec.channels, spec.channels, []
    for name, groups in makers(spec).items():
        mask = torch.cat([torch.arange(have[group]) < want[group] for group in groups]).to(x.dtype)
        module = network.get_submodule(name)
        handles.append(module.register_forward_hook(lambda m, i, y, mask=mask: y * mask[:, None, None]))
    try:
        return network(x)
    finally:
        for handle in handles:
            handle.remove()


def test_the_oracle_knows_every_group():
    for blank, _ in BLANKS.values():
        assert {group for groups in makers(blank).values() for group in groups} == set(blank.groups)


@each_blank
@torch.no_grad()
def test_outputs(blank, side):
    space = small_space(blank)
    supernet, x = supernet_of(space), image(side)
    for genome in genomes(space, 20):
        widths = space.widths(genome)
        output, subnet = supernet(x, widths), supernet.extract(widths)
        assert torch.equal(output, subnet(x)), genome
        assert output.std() > 1e-3
        torch.testing.assert_close(output, masked_output(supernet.network, subnet.spec, x), rtol=1e-6, atol=1e-6)


@each_blank
@torch.no_grad()
def test_groups_that_no_short_list_separates(blank, side):
    supernet, x = supernet_of(small_space(blank)), image(side)
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        widths = tuple(torch.randint(1, 4, (len(blank.widths),), generator=generator).tolist())
        subnet = supernet.extract(widths)
        assert torch.equal(supernet(x, widths), subnet(x))
        torch.testing.assert_close(subnet(x), masked_output(supernet.network, subnet.spec, x), rtol=1e-6, atol=1e-6)


@each_blank
def test_gradients(blank, side):
    """They land in the leading channels of each part, and nowhere else."""
    space = small_space(blank)
    supernet, x = supernet_of(space), image(side, batch=1)
    for genome in genomes(space, 20, seed=2):
        widths = space.widths(genome)
        subnet = supernet.extract(widths)
        supernet.zero_grad()
        for output in (supernet(x, widths), subnet(x)):
            (output * torch.linspace(-1, 1, output.numel(), dtype=x.dtype).view_as(output)).sum().backward()
        full, small = (space.spec.channels, subnet.spec.channels)
        leading = {
            g: torch.arange(small[name]) for g, name in enumerate(space.spec.groups) if full[name] > small[name]
        }
        gradients = {name: p.grad for name, p in supernet.network.named_parameters()}
        found = gather(gradients, space.spec, leading)
        for name, parameter in subnet.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-12, atol=1e-12)
            assert math.isclose(gradients[name].abs().sum(), found[name].abs().sum(), rel_tol=1e-12, abs_tol=1e-12)


@each_blank
@torch.no_grad()
def test_permuting_a_group_leaves_the_function(blank, side):
    spec, x = small_space(blank, (2,)).spec, image(side)
    network = filled(spec.build()).double().eval()
    wanted, state = network(x), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for group, name in enumerate(spec.groups):
        moved = gather(state, spec, {group: torch.arange(spec.channels[name]).roll(1)})
        assert any(not torch.equal(moved[n], state[n]) for n in state), name
        network.load_state_dict(moved)
        torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9, msg=name)


@each_blank
@torch.no_grad()
def test_own_widths_keep_the_function(blank, side):
    spec, x = small_space(blank).spec, image(side)
    network = filled(spec.build()).double().eval()
    wanted = network(x)
    state = keep_important(network, spec, spec.widths)
    assert sum(not torch.equal(state[n], t) for n, t in network.state_dict().items()) > len(state) / 2
    network.load_state_dict(state)
    torch.testing.assert_close(network(x), wanted, rtol=1e-9, atol=1e-9)


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


@torch.no_grad()
def test_statistics_of_inactive_channels_stay():
    space = small_space(BLANKS["batch"][0])
    supernet, x = supernet_of(space).train(), image(32, batch=4)
    before = {name: value.clone() for name, value in supernet.network.named_buffers()}
    widths = space.widths(space.smallest)
    supernet(x, widths)
    subnet = supernet.extract(widths)
    for name, value in supernet.network.named_buffers():
        if name.endswith("running_mean"):
            active = len(subnet.get_buffer(name))
            assert not torch.equal(value[:active], before[name][:active])
            assert torch.equal(value[active:], before[name][active:])


def counted(spec: NetworkSpec, height: int, width: int) -> dict[str, int]:
    """By PyTorch's own counter, and for the papers' convention by a hook at every convolution and norm."""
    paper = 0

    def count(module, inputs, output):
        nonlocal paper
        positions = math.prod(output.shape[2:])
        paper += output.numel() if isinstance(module, InstanceNorm) else module.weight.numel() * positions

    with torch.device("meta"):
        network = spec.build().eval()
        x = torch.empty(1, 3, height, width)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, InstanceNorm)):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as flops:
        network(x)
    params = sum(p.numel() for p in network.parameters())
    return {"params": params, "macs": paper, "true_macs": flops.get_total_flops() // 2}


@each_blank
def test_three_counters_agree(blank, side):
    space = small_space(blank, (7, 4, 2, 1))
    drawn = genomes(space, 20)
    found = CostModel(space.spec, side, 2 * side)(np.array([space.widths(genome) for genome in drawn]))
    for i, genome in enumerate(drawn):
        spec = space.spec.resized(space.widths(genome))
        assert found.at(i) == cost(spec, side, 2 * side) == counted(spec, side, 2 * side), genome


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
    blank = UnetSpec.uniform(1)
    assert {name: space_named(name, blank).size for name in blank.spaces} == {"unet-16": 3**8, "unet-64": 5**8}
    assert space_named("unet-16", blank).spec == UnetSpec.uniform(16)
    space = space_named("8_4", UnetSpec.uniform(1, levels=5, norm="instance"))
    assert space.size == 2**5
    assert space.spec == UnetSpec.uniform(8, levels=5, norm="instance")
    with pytest.raises(SpecError) as error:
        space_named("unet-32", blank)
    assert str(error.value) == "unknown search space 'unet-32'; did you mean unet-64 or unet-16?"


def test_taps_of_a_subnet():
    space = small_space(BLANKS["batch"][0])
    supernet, seen = Supernet(space.spec).eval(), {}
    widths = space.widths(space.smallest)
    supernet(image(32).float(), widths, lambda name, value: seen.setdefault(name, value))
    spec = space.spec.resized(widths)
    assert {name: seen[name].shape[1] for name in spec.taps} == {
        name: spec.tap_channels(name) for name in spec.taps
    }
