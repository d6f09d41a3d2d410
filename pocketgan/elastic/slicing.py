"""A subnet is the same program on leading slices of the supernet's tensors: `share` cuts the tensors for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pocketgan.elastic.dimensions import Dimension, parts
from pocketgan.elastic.skeleton import tensors
from pocketgan.errors import SpecError
from pocketgan.networks import NetworkSpec, Widths


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
    full: nn.Module,
    have: NetworkSpec,
    want: NetworkSpec,
    shrink: Shrink = lambda name, weight, size: centre(weight, size),
    within: str = "",
) -> dict[str, Tensor]:
    """For each tensor of the network of `want`, or of its module `within`, a view of the one of that name in `full`
    (the network of `have`), cut to its shape.

    Channels are the leading ones, smaller kernels the centres (or what `shrink` makes); what `want` has no name
    for, such as further blocks, stays behind. Where an axis holds several parts, each part gives its own leading
    channels, as far as `want` has parts (this one case is a copy). Gradients flow into the tensors of `full`
    either way.
    """
    source, layout = tensors(full), parts(have)
    prefix, shared = f"{within}." if within else "", {}
    for name, axes in parts(want).items():
        if not name.startswith(prefix):
            continue
        if name not in source:
            raise SpecError(
                f"a subnet has {name} and the supernet has not; only widths, depth and kernels can be smaller"
            )
        value = source[name]
        for axis, held in enumerate(axes):
            if axis > 1 and not any(part.factors for part in held):
                continue  # the side of a kernel
            if len(held) == 1:
                value = leading(value, axis, held[0].at(want.widths))
            else:
                value = _joined(value, axis, (layout[name][axis], have.widths), (held, want.widths))
        size = torch.Size(sum(part.at(want.widths) for part in held) for held in axes[2:])
        shared[name] = value if value.shape[2:] == size else shrink(name, value, size)
    return shared


def _joined(
    value: Tensor,
    axis: int,
    have: tuple[tuple[Dimension, ...], Widths],
    want: tuple[tuple[Dimension, ...], Widths],
) -> Tensor:
    """The leading channels of each part; there are more parts where the supernet is deeper."""
    there, here = ([dim.at(widths) for dim in held] for held, widths in (have, want))
    if there == here:
        return value
    return torch.cat([leading(p, axis, n) for p, n in zip(value.split(there, axis), here, strict=False)], axis)
