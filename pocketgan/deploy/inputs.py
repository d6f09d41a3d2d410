"""What a network is run on when it is exported and compared."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.networks import Generator
from pocketgan.units import Size


def shipped(network: nn.Module) -> nn.Module:
    """A copy on the CPU, in eval mode: the caller's network is left as it is."""
    return copy.deepcopy(network).cpu().float().eval()


def stride_of(network: nn.Module) -> int:
    """Sides must be multiples of this: the generator's stride, and 4 for any other module."""
    return network.spec.stride if isinstance(network, Generator) else 4


def noise(network: nn.Module, count: int, size: Size) -> Float[Tensor, "count channels height width"]:
    """Images that a generator can see, as its spec says; of another module, uniform in [-1, 1]."""
    rng = torch.Generator().manual_seed(0)
    if isinstance(network, Generator):
        return network.spec.example(count, size, rng).contiguous()  # exporters look at the order in memory
    return torch.rand(count, 3, *size, generator=rng) * 2 - 1


def with_draws(network: nn.Module, images: Float[Tensor, "batch channels height width"]) -> dict[str, Tensor]:
    """The images, and what the network takes beside them, drawn for each; by the names of the file's inputs."""
    rng = torch.Generator().manual_seed(0)
    return {"image": images, **(network.draw(len(images), rng) if isinstance(network, Generator) else {})}


def example_inputs(network: nn.Module, count: int, size: Size) -> dict[str, Tensor]:
    """`with_draws` of `noise`."""
    return with_draws(network, noise(network, count, size))
