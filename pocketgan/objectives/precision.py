"""The numbers that networks compute with while they train.

Weights and their gradients, optimizers and losses are float32 always. `bf16` concerns the forwards of the networks,
and with them the gradients of their activations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["fp32", "bf16"]
#: a network as a game calls it
Call = Callable[..., Any]


def in_precision(network: nn.Module, device: torch.device, precision: Precision) -> Call:
    """The network on its device as a game is to call it.

    fp32: the network itself. bf16: what comes in is rounded to bfloat16, convolutions and matrix products compute
    in it (PyTorch's autocast), and what goes out is float32 again, so that the losses are. A part that must not
    compute in it switches autocast off around itself, as spectral norm and the bundled perceptual network do.
    """
    if precision == "fp32":
        return network

    def call(*inputs: Any, **named: Any) -> Any:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            outputs = network(*_as(torch.bfloat16, inputs), **_as(torch.bfloat16, named))
        return _as(torch.float32, outputs)

    return call


def _as(dtype: torch.dtype, value: Any) -> Any:
    """The same value with every floating-point tensor of its tuples, lists and dicts in that dtype."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _as(dtype, each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_as(dtype, each) for each in value)
    return value
