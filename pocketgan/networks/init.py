"""The initialisation of the papers."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from pocketgan.networks.spectral import SpectralConv2d

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def init_normal(network: Network, generator: torch.Generator, std: float = 0.02) -> Network:
    """Weights from N(0, std), biases 0; batch norm weights from N(1, std), those of MUNIT's layer norm from [0, 1).
    In place; returns the network.

    Source: Radford et al., ICLR 2016; pix2pix and CycleGAN.
    """
    for module in network.modules():
        mean = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
        for name, parameter in module.named_parameters(recurse=False):
            if name in ("weight", "weight_orig"):
                parameter.normal_(mean, std, generator=generator)
            elif name == "gamma":
                parameter.uniform_(generator=generator)
            else:
                parameter.zero_()
        if isinstance(module, SpectralConv2d):
            module.draw_vectors(generator)
    return network
