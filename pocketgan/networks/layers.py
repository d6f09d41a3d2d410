"""The layers that the generators and discriminators share."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.networks.spec import Norm

Padding = Literal["reflect", "replicate", "zero"]
Activation = Literal["relu", "leaky", "tanh", "none"]
#: how many channels, or how many of each part where a tensor joins several
Channels = int | tuple[int, ...]


def exact(x: Tensor) -> Tensor:
    """In float32 where it is in less: for what would go wrong by the same amount at all pixels in bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class InstanceNorm(nn.Module):
    """Normalises each channel of each image over space; no parameters, no running statistics.

    y = (x - mean) / sqrt(var + 1e-5), biased variance.
    """

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        # beside a weight in float32 PyTorch keeps the statistics in float32, else in the type of x
        ones = x.new_ones(x.shape[1], dtype=torch.float32) if x.dtype == torch.bfloat16 else None
        return F.instance_norm(x, weight=ones)


class Tanh(nn.Tanh):
    """In float32: near 1, bfloat16 knows multiples of 1/256 only, too few for the slope 1 - y² of bright pixels."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(exact(input))


def make_norm(norm: Norm | None, channels: int) -> nn.Module:
    """Instance norm without parameters, batch norm with all of them, or nothing."""
    if norm is None:
        return nn.Identity()
    return InstanceNorm() if norm == "instance" else nn.BatchNorm2d(channels)


def make_activation(name: Activation) -> nn.Module:
    layers = {"relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.2), "tanh": Tanh(), "none": nn.Identity()}
    return layers[name]


class Separable(nn.Module):
    """A decomposed convolution: depthwise k x k, instance norm, pointwise 1 x 1; all with biases.

    With `output_padding` the depthwise part is a transposed convolution. The inner norm is an instance norm
    whatever norm the network has, unless `norm` says otherwise.

    Source: GAN Compression, section 3.2 and the official code's behaviour.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int,
        padding: int,
        norm: Norm | None = "instance",
        output_padding: int | None = None,
    ) -> None:
        super().__init__()
        channels = (in_channels, in_channels)
        if output_padding is None:
            self.depthwise: nn.Module = nn.Conv2d(*channels, kernel, stride, padding, groups=in_channels)
        else:
            self.depthwise = nn.ConvTranspose2d(
                *channels, kernel, stride, padding, output_padding, groups=in_channels
            )
        self.norm = make_norm(norm, in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Tensor:
        return self.pointwise(self.norm(self.depthwise(x)))


def declare_segments(module: nn.Module, channels: Channels, **axes: int) -> None:
    """Note on a module that these axes of its tensors hold several parts, so that each is cut by itself."""
    if isinstance(channels, tuple):
        present = [(name, axis) for name, axis in axes.items() if getattr(module, name, None) is not None]
        # mypy takes every attribute of a module for a tensor
        module.segments = dict.fromkeys(present, channels)  # type: ignore[assignment]


class ConvLayer(nn.Module):
    """Pad, convolve, normalise, activate: the one building block of the convolutional networks.

    Padding 'zero' is done by the convolution itself. A convolution in front of a batch norm has no bias, unless
    it is separable or `bias` says otherwise. `transposed` multiplies the side by the stride. Input or output may
    join several parts (not both).
    """

    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        kernel: int,
        *,
        stride: int = 1,
        pad: int = 0,
        padding: Padding = "zero",
        norm: Norm | None = None,
        activation: Activation = "none",
        separable: bool = False,
        separable_norm: Norm = "instance",
        transposed: bool = False,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        into, out = (sum(n) if isinstance(n, tuple) else n for n in (in_channels, out_channels))
        bias = norm != "batch" if bias is None else bias
        self.pad = 0 if padding == "zero" else pad
        self.pad_mode = padding
        own_pad = pad - self.pad
        more = stride + 2 * own_pad - kernel
        if separable:
            outside = more if transposed else None
            self.conv: nn.Module = Separable(into, out, kernel, stride, own_pad, separable_norm, outside)
            declare_segments(self.conv.depthwise, in_channels, weight=0, bias=0)
            declare_segments(self.conv.pointwise, in_channels, weight=1)
            declare_segments(self.conv.pointwise, out_channels, weight=0, bias=0)
        elif transposed:
            self.conv = nn.ConvTranspose2d(into, out, kernel, stride, own_pad, more, bias=bias)
        else:
            self.conv = nn.Conv2d(into, out, kernel, stride, own_pad, bias=bias)
        declare_segments(self.conv, in_channels, weight=0 if transposed else 1)
        declare_segments(self.conv, out_channels, weight=1 if transposed else 0, bias=0)
        self.norm = make_norm(norm, out)
        declare_segments(self.norm, out_channels, weight=0, bias=0, running_mean=0, running_var=0)
        self.activation = make_activation(activation)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Tensor:
        if self.pad:
            x = F.pad(x, (self.pad,) * 4, mode=self.pad_mode)
        return self.activation(self.norm(self.conv(x)))
