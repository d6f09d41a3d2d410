"""The initialisations of the papers. All work in place, return the network and draw from `generator` alone.

Whatever the law of the weights, biases are 0, the weights of batch norms from N(1, 0.02), and those of MUNIT's
layer norms from [0, 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pocketgan.networks.spectral import SpectralConv2d

Network = TypeVar("Network", bound=nn.Module)

_STD = 0.02


def init_normal(network: Network, generator: torch.Generator, std: float = _STD) -> Network:
    """Weights from N(0, std).

    Source: Radford et al., ICLR 2016; pix2pix and CycleGAN.
    """
    return _initialised(network, generator, lambda weight: weight.normal_(0, std, generator=generator), std)


def init_xavier(network: Network, generator: torch.Generator, gain: float = _STD) -> Network:
    """Weights from N(0, gain^2 * 2 / (fan_in + fan_out)).

    Source: Glorot & Bengio, AISTATS 2010; with this small a gain, SPADE's generator and discriminator.
    """
    law = nn.init.xavier_normal_
    return _initialised(network, generator, lambda weight: law(weight, gain, generator=generator))


def init_kaiming(network: Network, generator: torch.Generator) -> Network:
    """Weights from N(0, 2 / fan_in).

    Source: He et al., ICCV 2015; MUNIT's generators.
    """
    law = nn.init.kaiming_normal_
    return _initialised(network, generator, lambda weight: law(weight, generator=generator))


def initialise(network: Network, generator: torch.Generator) -> Network:
    """As the authors of that network start it: by the law of its spec, or `init_normal` where it names none."""
    spec: Any = getattr(network, "spec", None)
    return ((spec and spec.law) or init_normal)(network, generator)


@torch.no_grad()
def _initialised(
    network: Network, generator: torch.Generator, draw: Callable[[Tensor], Tensor], std: float = _STD
) -> Network:
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name not in ("weight", "weight_orig", "gamma"):
                parameter.zero_()
            elif name == "gamma":
                parameter.uniform_(generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                parameter.normal_(1, std, generator=generator)
            else:
                draw(parameter)
        if isinstance(module, SpectralConv2d):
            module.draw_vectors(generator)
    return network
