"""Small spaces with weights."""

import random

import torch
from torch import Tensor, nn

from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.networks import Genome, ResnetSpec


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
