import torch

from pocketgan.elastic.slicing import share, skeleton
from pocketgan.networks import ResnetSpec


def test_skeleton_has_shapes_but_no_values():
    spec = ResnetSpec.uniform(2, blocks=1)
    network = skeleton(spec)
    assert network is skeleton(ResnetSpec.uniform(2, blocks=1))
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    real = spec.build().state_dict()
    assert {n: t.shape for n, t in network.state_dict().items()} == {n: t.shape for n, t in real.items()}


def test_shared_tensors_are_leading_views():
    full = ResnetSpec.uniform(3, blocks=2, norm="batch").build()
    small = skeleton(ResnetSpec(widths=(2, 3, 1, 2, 3, 1), blocks=1, norm="batch"))
    shared = share(full, small)
    assert shared.keys() == dict(small.state_dict()).keys()
    for name, tensor in shared.items():
        own = full.get_parameter(name) if name in dict(full.named_parameters()) else full.get_buffer(name)
        assert torch.equal(tensor, own[tuple(slice(size) for size in tensor.shape)])
        assert tensor.data_ptr() == own.data_ptr()
