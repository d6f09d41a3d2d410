"""What is particular to MUNIT: one tensor holds the shifts and scales of many norms."""

import numpy as np
import torch

from pocketgan.elastic.order import keep_important
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.networks import MunitSpec
from tests.elastic.toys import filled, image, supernet_of


def small_space(options=(3, 2, 1), **shape) -> SearchSpace:
    return uniform_space(MunitSpec.uniform(1, mlp_width=5, **shape), options)


@torch.no_grad()
def test_a_given_style_reaches_the_subnet():
    space = small_space(separable=("residual", "up"))
    supernet, x = supernet_of(space), image()
    widths, style = space.widths(space.smallest), torch.randn(2, 8, 1, 1, dtype=torch.float64)
    assert torch.equal(supernet(x, widths, style=style), supernet.extract(widths)(x, style=style))
    assert torch.equal(supernet(x, style=style), supernet.network(x, style=style))


@torch.no_grad()
def test_pruning_follows_into_the_style():
    """The kept channels of a block of the decoder, and the rows of the last linear layer that are theirs."""
    spec = small_space((2,), blocks=2).spec
    network = filled(spec.build())
    full = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    found = keep_important(network, spec, (1,) * len(spec.widths))

    def best(weight: np.ndarray, n: int) -> np.ndarray:
        return np.argsort(-np.abs(weight).sum((1, 2, 3)), kind="stable")[:n]

    stem = best(full["content_encoder.stem.conv.weight"], 1)
    down = best(full["content_encoder.down.0.conv.weight"][:, stem], 2)
    stream = best(full["content_encoder.down.1.conv.weight"][:, down], 4)
    inner = [best(full[f"decoder.blocks.{i}.first.conv.weight"][:, stream], 4) for i in (0, 1)]
    kept = np.concatenate(
        [8 * part + own for part, own in enumerate([inner[0]] * 2 + [stream] * 2 + [inner[1]] * 2 + [stream] * 2)]
    )
    assert np.array_equal(found["mlp.last.weight"], full["mlp.last.weight"][kept])
    assert np.array_equal(found["mlp.last.bias"], full["mlp.last.bias"][kept])
    second = full["decoder.blocks.1.second.conv.weight"]
    assert np.array_equal(found["decoder.blocks.1.second.conv.weight"], second[stream][:, inner[1]])


@torch.no_grad()
def test_fewer_blocks_are_the_first():
    """The shallower network written out: the last block of encoder and decoder left out by hand."""
    spec = small_space((2,), blocks=2).spec
    supernet, x = Supernet(spec), image()
    filled(supernet).double().eval()
    shallow = MunitSpec.uniform(2, mlp_width=5, blocks=1)
    got = supernet(x, shallow)
    assert torch.equal(got, supernet.extract(shallow)(x))
    network = supernet.network
    numbers = network.mlp(network.style(x))
    content = x
    for layer in (network.content_encoder.stem, *network.content_encoder.down, network.content_encoder.blocks[0]):
        content = layer(content)
    y = network.decoder.blocks[0](content, *numbers[:4])
    for layer in (*network.decoder.up, network.decoder.head):
        y = layer(y)
    torch.testing.assert_close(got, y, rtol=1e-12, atol=1e-12)


def test_published_space():
    space = space_named("channels-64", MunitSpec.uniform(1).mobile)
    assert space.size == 7**10
    assert space.spec == MunitSpec.uniform(64, separable=("residual", "up"))
