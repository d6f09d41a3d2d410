"""Importance order of channels, and pruning along it.

Channels of a width group are ranked by the L1 norm of the weights that make them, counting only the inputs
that are kept. Walking the network in order, that is the official pre-distillation initialisation.

Source: GAN Compression, section 3.1; the official weight transfer's behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pocketgan.elastic.dimensions import Dimension, parts
from pocketgan.networks import NetworkSpec, Widths


def keep_important(network: nn.Module, spec: NetworkSpec, widths: Widths) -> dict[str, Tensor]:
    """The state of the network of `spec` cut to `widths`: the most important channels, most important first.

    With the widths of `spec` itself nothing is lost: the channels are only sorted, the function stays.
    """
    axes = parts(spec)
    kept: dict[int, Tensor] = {}
    for name, module in network.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) or _is_depthwise(module):
            continue
        out = 1 if isinstance(module, nn.ConvTranspose2d) else 0
        (made, *others), source = axes[f"{name}.weight"][out], axes[f"{name}.weight"][1 - out]
        if others or made.group is None or made.group in kept:
            continue
        weight = _select(module.weight.detach(), 1 - out, source, spec, kept)
        score = weight.abs().sum(dim=[axis for axis in range(weight.ndim) if axis != out])
        score = score.view(_ranked(spec, spec.widths, made.group), -1).sum(1)
        kept[made.group] = score.argsort(descending=True)[: _ranked(spec, widths, made.group)]
    return gather(network.state_dict(), spec, kept)


def gather(state: Mapping[str, Tensor], spec: NetworkSpec, kept: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """A copy of a state of `spec` that has, of each of these width groups, these channels in this order; units, of
    a spec where those stay whole."""
    axes = parts(spec)
    gathered = {}
    for name, tensor in state.items():
        for axis, held in enumerate(axes[name]):
            tensor = _select(tensor, axis, held, spec, kept)
        gathered[name] = tensor.clone()
    return gathered


def _ranked(spec: NetworkSpec, widths: Widths, group: int) -> int:
    """How many things of a group are ranked: its channels, each of which may be several of a layer's (the pixels of
    a shuffle); units, of a spec where those stay whole."""
    return widths[group] * (1 if spec.whole else spec.plan[group].factor)


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and module.groups > 1


def _select(
    tensor: Tensor, axis: int, held: tuple[Dimension, ...], spec: NetworkSpec, kept: Mapping[int, Tensor]
) -> Tensor:
    """The kept channels of each part that an axis holds."""
    if not any(part.group in kept for part in held):
        return tensor
    indices, start = [], 0
    for part in held:
        size = part.at(spec.widths)
        own = None if part.group is None else kept.get(part.group)
        if own is not None:
            assert part.group is not None, "what is kept is kept by group"
            unit = size // _ranked(spec, spec.widths, part.group)
            own = (own[:, None] * unit + torch.arange(unit, device=own.device)).flatten()
        indices.append(start + (torch.arange(size) if own is None else own).to(tensor.device))
        start += size
    return tensor.index_select(axis, torch.cat(indices))
