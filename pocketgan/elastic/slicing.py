"""A subnet is the same program on leading slices of the supernet's tensors.

`skeleton` carries a subnet's program and shapes without memory; `share` cuts the tensors for it.
"""

from __future__ import annotations

from collections.abc import Callable
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


def leading(tensor: Tensor, axis: int, want: int) -> Tensor:
    """The leading channels along an axis, as a view."""
    have = tensor.shape[axis]
    if want > have:
        raise SpecError(f"a subnet wants {want} channels where the supernet has {have}; widen the supernet")
    return tensor.narrow(axis, 0, want) if want < have else tensor


def centre(weight: Tensor, size: torch.Size) -> Tensor:
    """The central block of a convolution's kernels, as a view."""
    for axis, (have, want) in enumerate(zip(weight.shape[2:], size, strict=True), 2):
        if want > have:
            raise SpecError(f"a subnet wants kernels of side {want} where the supernet has {have}; enlarge those")
        if want < have:
            weight = weight.narrow(axis, (have - want) // 2, want)
    return weight


#: makes the weight of that name have smaller kernels
Shrink = Callable[[str, Tensor, torch.Size], Tensor]


def share(
    full: nn.Module, like: nn.Module, shrink: Shrink = lambda name, weight, size: centre(weight, size)
) -> dict[str, Tensor]:
    """For each tensor of `like`, a view of the same-named tensor of `full`, cut to its shape.

    Channels are the leading ones, smaller kernels the centres (or what `shrink` makes); what `like` has no name
    for, such as further blocks, stays behind. Where an axis holds several parts, each part gives its own leading
    channels, as far as `like` has parts (this one case is a copy). Gradients flow into the tensors of `full`
    either way.
    """
    source, have, want = tensors(full), segments(full), segments(like)
    shared = {}
    for name, tensor in tensors(like).items():
        if name not in source:
            raise SpecError(
                f"a subnet has {name} and the supernet has not; only widths, depth and kernels can be smaller"
            )
        value = source[name]
        if name in want and have[name] != want[name]:
            axis, sizes = want[name]
            parts = value.split(have[name][1], axis)  # more of them where `full` is deeper
            value = torch.cat([leading(p, axis, n) for p, n in zip(parts, sizes, strict=False)], axis)
        for axis, channels in enumerate(tensor.shape[:2]):
            value = leading(value, axis, channels)
        if value.shape[2:] != tensor.shape[2:]:
            value = shrink(name, value, tensor.shape[2:])
        shared[name] = value
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
