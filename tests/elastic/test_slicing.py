import pytest
import torch

from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.slicing import share
from pocketgan.elastic.supernet import Supernet
from pocketgan.networks import MunitSpec, ResnetSpec


def test_skeleton_has_shapes_but_no_values():
    spec = ResnetSpec.uniform(2, blocks=1)
    network = skeleton(spec)
    assert network is skeleton(ResnetSpec.uniform(2, blocks=1))
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    real = spec.build().state_dict()
    assert {n: t.shape for n, t in network.state_dict().items()} == {n: t.shape for n, t in real.items()}


def test_shared_tensors_are_leading_views():
    wide = ResnetSpec.uniform(3, blocks=2, norm="batch")
    full, small = wide.build(), ResnetSpec(widths=(2, 3, 1, 2, 3, 1), blocks=1, norm="batch")
    shared = share(full, wide, small)
    assert {name: tensor.shape for name, tensor in shared.items()} == {
        name: tensor.shape for name, tensor in small.build().state_dict().items()
    }
    for name, tensor in shared.items():
        own = full.get_parameter(name) if name in dict(full.named_parameters()) else full.get_buffer(name)
        assert torch.equal(tensor, own[tuple(slice(size) for size in tensor.shape)])
        assert tensor.data_ptr() == own.data_ptr()


@pytest.mark.parametrize("widths", [(2,) * 18, (1, 2) * 9], ids=["widest", "narrower"])
@torch.no_grad()
def test_a_part_runs_alone(widths):
    """And on no other tensors than its own."""
    supernet = Supernet(MunitSpec.uniform(2))
    x, subnet = torch.rand(2, 3, 16, 16), supernet.extract(widths)
    for name, parameter in supernet.network.named_parameters():
        if not name.startswith("style_encoder."):
            parameter.fill_(float("nan"))
    assert torch.equal(supernet.part("style_encoder", x, widths), subnet.style(x))


def test_supernets_share_no_program():
    """So that two of them may run side by side."""
    spec = ResnetSpec.uniform(2, blocks=1)
    one, two = Supernet(spec), Supernet(spec)
    for supernet in (one, two):
        supernet(torch.zeros(1, 3, 16, 16), (1,) * 6)
    (first,), (second,) = one._programs.values(), two._programs.values()
    others = {*second.network.modules(), *skeleton(first.network.spec).modules()}
    assert not set(first.network.modules()) & others
    assert one.state_dict().keys() == {f"network.{name}" for name in one.network.state_dict()}
