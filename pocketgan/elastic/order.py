"""Importance order of channels, and pruning along it.

Channels of a width group are ranked by the L1 norm of the weights that make them, counting only the inputs
that are kept. Walking the network in order, that is the official pre-distillation initialisation.

Source: GAN Compression, section 3.1; the official weight transfer's behaviour.
"""

from __future__ import annotations

from torch import Tensor, nn

from pocketgan.elastic.dimensions import dimensions, shapes
from pocketgan.networks import NetworkSpec, Widths


def keep_important(network: nn.Module, spec: NetworkSpec, widths: Widths) -> dict[str, Tensor]:
    """The state of the network of `spec` cut to `widths`: the most important channels, most important first.

    With the widths of `spec` itself nothing is lost: the channels are only sorted, the function stays.
    """
    state = network.state_dict()
    kept: dict[int, Tensor] = {}
    small = shapes(spec.resized(widths))
    groups = {name: [d.group for d in dims] for name, dims in dimensions(spec).items()}

    for name, module in network.named_modules():
        weight = f"{name}.weight"
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) or _is_depthwise(module):
            continue
        out = 1 if isinstance(module, nn.ConvTranspose2d) else 0
        group = groups[weight][out]
        if group is None or group in kept:
            continue
        source = groups[weight][1 - out]
        made_of = state[weight].index_select(1 - out, kept[source]) if source in kept else state[weight]
        score = made_of.abs().sum(dim=[axis for axis in range(made_of.ndim) if axis != out])
        kept[group] = score.argsort(descending=True)[: small[weight][out]]

    return {name: _gather(tensor, groups[name], kept) for name, tensor in state.items()}


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups > 1


def _gather(tensor: Tensor, groups: list[int | None], kept: dict[int, Tensor]) -> Tensor:
    for axis, group in enumerate(groups):
        if group in kept:
            tensor = tensor.index_select(axis, kept[group])
    return tensor.clone()
