"""Importance order: pruning keeps what a plain numpy walk keeps."""

import numpy as np
import torch

from pocketgan.elastic.order import keep_important
from pocketgan.networks import ResnetSpec
from tests.elastic.toys import filled


def test_pruning_written_out():
    """A mobile ResNet of one block from widths 4 to 2, layer by layer as in the paper."""
    spec = ResnetSpec.uniform(4, blocks=1, separable=("residual",))
    network = filled(spec.build())
    full = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    small: dict[str, np.ndarray] = {}

    def best(weight: np.ndarray, keep: int) -> np.ndarray:
        """Output channels (axis 0) by their L1 norm, largest first."""
        return np.argsort(-np.abs(weight).reshape(len(weight), -1).sum(axis=1))[:keep]

    def take(layer: str, out: np.ndarray | None, into: np.ndarray | None, transposed: bool = False) -> None:
        weight, bias = full[f"{layer}.weight"], full[f"{layer}.bias"]
        first, second = (into, out) if transposed else (out, into)
        weight = weight if first is None else weight[first]
        small[f"{layer}.weight"] = weight if second is None else weight[:, second]
        small[f"{layer}.bias"] = bias if out is None else bias[out]

    stem = best(full["stem.conv.weight"], 2)
    take("stem.conv", stem, None)
    down = best(full["down.0.conv.weight"][:, stem], 4)
    take("down.0.conv", down, stem)
    stream = best(full["down.1.conv.weight"][:, down], 8)
    take("down.1.conv", stream, down)
    inner = best(full["blocks.0.first.conv.pointwise.weight"][:, stream], 8)
    take("blocks.0.first.conv.depthwise", stream, None)
    take("blocks.0.first.conv.pointwise", inner, stream)
    take("blocks.0.second.conv.depthwise", inner, None)
    take("blocks.0.second.conv.pointwise", stream, inner)
    up = best(full["up.0.conv.weight"][stream].swapaxes(0, 1), 4)
    take("up.0.conv", up, stream, transposed=True)
    last = best(full["up.1.conv.weight"][up].swapaxes(0, 1), 2)
    take("up.1.conv", last, up, transposed=True)
    take("head.conv", None, last)

    found = keep_important(network, spec, (2,) * 6)
    assert found.keys() == small.keys()
    for name, wanted in small.items():
        assert np.array_equal(found[name].numpy(), wanted), name
    spec.resized((2,) * 6).build().load_state_dict(found)


def test_the_network_is_left_alone():
    spec = ResnetSpec.uniform(4, blocks=1)
    network = filled(spec.build())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for tensor in keep_important(network, spec, (4, 4, 4, 4, 4, 3)).values():
        tensor.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
