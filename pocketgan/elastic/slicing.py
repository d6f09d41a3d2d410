"""A subnet is the same program on leading slices of the supernet's tensors.

`skeleton` carries a subnet's program and shapes without memory; `share` cuts the tensors for it.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def share(full: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For each tensor of `like`, a view of the same-named tensor of `full`, cut to its shape."""
    return {name: leading(full[name], tensor.shape) for name, tensor in like.items()}


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, as they are (with their gradients' history)."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}
