"""Small spaces with weights, and the oracle of elasticity, which knows nothing of slicing."""

import random

import torch
from torch import Tensor, nn

from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.networks import Genome, ResnetSpec, Widths

SHAPES = (
    dict(separable=("residual",)),
    dict(separable=("down", "residual", "up"), blocks=6),
    dict(separable=(), blocks=6),
    dict(separable=("residual",), norm="batch"),
    dict(separable=("down",), norm="batch", blocks=6),
)


def name_of(shape: dict) -> str:
    return "-".join([str(shape.get("blocks", 9)), shape.get("norm", "instance"), *shape["separable"]])


def small_space(options: tuple[int, ...] = (5, 3, 2, 1), **shape) -> SearchSpace:
    return uniform_space(ResnetSpec.uniform(1, **shape), options)


def genomes(space: SearchSpace, count: int, seed: int = 0) -> list[Genome]:
    rng = random.Random(seed)
    return [space.sample(rng) for _ in range(count)]


def filled(network: nn.Module, seed: int = 0) -> nn.Module:
    """In place: every tensor random, and all of about the size that makes the output depend on it."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return network


def supernet_of(space: SearchSpace, seed: int = 0) -> Supernet:
    """In evaluation mode, float64."""
    return filled(Supernet(space.spec), seed).double().eval()


def image(side: int = 16, batch: int = 2, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, side, side, generator=generator, dtype=torch.float64) * 2 - 1


def masked_output(network: nn.Module, widths: Widths, x: Tensor) -> Tensor:
    """The output of the full network in which every channel beyond `widths` is set to zero wherever it appears.

    All weights keep their full size. Zeroing has to be repeated after each norm, since a norm or a bias makes
    something of a channel of zeros.
    """
    stem, down, stream, *inner, up, last = widths
    out = {"stem": stem, "down.0": 2 * down, "down.1": 4 * stream, "up.0": 2 * up, "up.1": last}
    into = {"down.0": stem, "down.1": 2 * down}
    for i, width in enumerate(inner):
        out |= {f"blocks.{i}.first": 4 * width, f"blocks.{i}.second": 4 * stream}
        into |= {f"blocks.{i}.first": 4 * stream, f"blocks.{i}.second": 4 * width}
    handles = [network.get_submodule(name).register_forward_hook(_zero_beyond(n)) for name, n in out.items()]
    for name, channels in into.items():
        conv = network.get_submodule(name).conv
        if hasattr(conv, "norm"):  # decomposed: the inner norm has the channels of the input
            handles.append(conv.norm.register_forward_hook(_zero_beyond(channels)))
    try:
        return network(x)
    finally:
        for handle in handles:
            handle.remove()


def _zero_beyond(channels: int):
    def hook(module, inputs, output):
        mask = torch.zeros(output.shape[1], dtype=output.dtype)
        mask[:channels] = 1
        return output * mask[:, None, None]

    return hook
