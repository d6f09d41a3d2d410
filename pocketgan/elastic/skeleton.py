"""Networks without memory: the program and the shapes that a spec stands for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pocketgan.networks import Generator, NetworkSpec


class _Unfilled(TorchFunctionMode):
    """Nothing draws initial values: on the meta device there is nothing to fill, and PyTorch takes long over it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        values = kwargs or {}
        fills = getattr(func, "__module__", "") == "torch.nn.init"
        return values["tensor"] if fills else func(*args, **values)


def blank(spec: NetworkSpec) -> Generator:
    """A new network on the meta device: its program and its shapes, no values."""
    with torch.device("meta"), _Unfilled():
        return spec.build()


@lru_cache(maxsize=512)
def skeleton(spec: NetworkSpec) -> Generator:
    """A blank network in evaluation mode. All of the process share it: nothing may change it."""
    return blank(spec).eval()


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, as they are (with their gradients' history)."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def segments(network: nn.Module) -> dict[tuple[str, int], tuple[int, ...]]:
    """The axes of tensors that hold several parts: by name and axis, the sizes of the parts.

    A layer whose input is a concatenation, or whose tensor holds several things, says so in an attribute `segments`
    ({(tensor name, axis): sizes}), where it is made.
    """
    return {
        (f"{prefix}.{name}" if prefix else name, axis): sizes
        for prefix, module in network.named_modules()
        for (name, axis), sizes in getattr(module, "segments", {}).items()
    }
