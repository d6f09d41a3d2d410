"""A subnet is the same program on leading slices of the supernet's tensors.

`skeleton` carries a subnet's program and shapes without memory; `share` cuts the tensors for it.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.networks import Generator, NetworkSpec


@lru_cache(maxsize=512)
def skeleton(spec: NetworkSpec) -> Generator:
    """The network on the meta device: its program and its shapes, no values. Cached; do not change it."""
    with torch.device("meta"):
        return spec.build()


def leading(tensor: Tensor, shape: torch.Size) -> Tensor:
    """The leading block of that shape, as a view."""
    for dim, (have, want) in enumerate(zip(tensor.shape, shape, strict=True)):
        if want > have:
            raise SpecError(f"a subnet wants {want} channels where the supernet has {have}; widen the supernet")
        if want < have:
            tensor = tensor.narrow(dim, 0, want)
    return tensor


def share(full: nn.Module, like: nn.Module) -> dict[str, Tensor]:
    """For each tensor of `like`, a view of the same-named tensor of `full`, cut to its shape.

    Where an axis holds several parts, each part gives its own leading channels (this one case is a copy). Gradients flow
    into the tensors of `full` either way.
    """
    source, have, want = tensors(full), segments(full), segments(like)
    shared = {}
    for name, tensor in tensors(like).items():
        value = source[name]
        if name in want and have[name] != want[name]:
            axis, sizes = want[name]
            parts = value.split(have[name][1], axis)
            value = torch.cat([p.narrow(axis, 0, n) for p, n in zip(parts, sizes, strict=True)], axis)
        shared[name] = leading(value, tensor.shape)
    return shared


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, as they are (with their gradients' history)."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def segments(network: nn.Module) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The tensors of which one axis holds several parts: by name, the axis and the sizes of its parts.

    A layer whose input is a concatenation, or whose tensor holds several things, says so in an attribute `segments`
    ({tensor name: (axis, sizes)}), where it is made.
    """
    return {
        f"{prefix}.{name}" if prefix else name: parts
        for prefix, module in network.named_modules()
        for name, parts in getattr(module, "segments", {}).items()
    }
