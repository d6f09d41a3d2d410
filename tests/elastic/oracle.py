"""The oracles of elasticity: the full network with all channels that a subnet has not set to zero, and a count of
what a built network costs.

They know nothing of slicing. How many channels come out of each layer of a subnet, the network of its spec says
itself.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from pocketgan.elastic.supernet import Supernet
from pocketgan.networks import NetworkSpec
from pocketgan.networks.adain import AdaptiveNorm, LayerNorm
from pocketgan.networks.layers import InstanceNorm

#: the layers that make something of a channel of zeros
MAKERS = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, AdaptiveNorm, LayerNorm)


def oracle(supernet: Supernet, spec: NetworkSpec, x: Tensor) -> Tensor:
    """The output of the subnet of `spec`; gradients reach the supernet's tensors."""
    wide = _widest_of_this_form(supernet.spec, spec)
    with torch.device("meta"):
        network = wide.build().train(supernet.training)
    small = spec.build().eval()
    channels: dict[str, int] = {}
    for name, module in small.named_modules():
        if isinstance(module, MAKERS):
            module.register_forward_hook(lambda m, i, y, name=name: channels.update({name: y.shape[1]}))
    small(x[:1].float())
    for name, module in network.named_modules():
        if isinstance(module, MAKERS):
            have, want = _parts(module), _parts(small.get_submodule(name))
            module.register_forward_hook(_kept(have, want or (channels[name],)))
    return functional_call(network, _state(supernet, network), (x,))


def _widest_of_this_form(full: NetworkSpec, spec: NetworkSpec) -> NetworkSpec:
    widths = dict(zip(full.groups, full.widths, strict=True))
    return spec.resized(tuple(widths[group] for group in spec.groups))


def _parts(module: nn.Module) -> tuple[int, ...]:
    """Of a layer whose output joins several parts: their sizes."""
    tensor = "running_mean" if isinstance(module, nn.BatchNorm2d) else "weight"
    out = 1 if isinstance(module, nn.ConvTranspose2d) and module.groups == 1 else 0
    return getattr(module, "segments", {}).get((tensor, out), ())


def _kept(have: tuple[int, ...], want: tuple[int, ...]):
    """Zeroes what is beyond the first channels of each part."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
        if isinstance(module, LayerNorm):  # its statistics are those of the channels that are left
            (count,) = want
            mean, std = (f(inputs[0][:, :count], (1, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
            y = (inputs[0] - mean) / (std + 1e-5) * module.gamma.view(-1, 1, 1) + module.beta.view(-1, 1, 1)
        masks = [torch.arange(n) < kept for n, kept in zip(have or (y.shape[1],), want, strict=True)]
        return y * torch.cat(masks)[:, None, None]

    return hook


def _state(supernet: Supernet, network: nn.Module) -> dict[str, Tensor]:
    """The supernet's tensors in a network of the same widths, which may have fewer blocks and smaller kernels."""
    full = dict(supernet.network.named_parameters()) | dict(supernet.network.named_buffers())
    state = {}
    for name, tensor in network.state_dict().items():
        value = full[name][: len(tensor)] if tensor.ndim else full[name]  # blocks left out stand last
        while value.shape[2:] != tensor.shape[2:]:
            value = core = F.pad(value, (-1,) * 4)
            if name in supernet.kernels.layers:  # stem and head have no matrices
                matrix = getattr(supernet.kernels, f"to{core.shape[-1]}")[supernet.kernels.layers.index(name)]
                value = torch.einsum("ab,oib->oia", matrix, core.flatten(2)).view_as(core)
        state[name] = value
    return state


def counted(spec: NetworkSpec, height: int, width: int) -> dict[str, int]:
    """By PyTorch's own counter, and for the papers' convention by a hook at every convolution and norm."""
    paper = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal paper
        norm = isinstance(module, InstanceNorm)
        paper += output.numel() if norm else module.weight.numel() * math.prod(output.shape[2:])

    with torch.device("meta"):
        network = spec.build().eval()
        x = torch.empty(1, spec.in_channels, height, width)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, InstanceNorm)):
            module.register_forward_hook(count)
    with FlopCounterMode(display=False) as flops:
        network(x)
    params = sum(p.numel() for p in network.parameters())
    return {"params": params, "macs": paper, "true_macs": flops.get_total_flops() // 2}
