"""Norms of fixed statistics as part of the convolutions before them.

In evaluation mode a batch norm multiplies each channel by a number and adds one, and so may the convolution whose
channels these are. Exporters and runtimes do that behind plain convolutions, some of them; here it is done for all,
also where a pixel shuffle stands between the two, or the convolution is a depthwise one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketgan.networks.layers import ConvLayer, Separable


@torch.no_grad()
def fold_norms(network: nn.Module) -> None:
    """In place, of a network in evaluation mode: batch norms behind convolutions go into their weights and biases.

    Instance norms stay: what they multiply by is another number for each image. So do norms in front of a
    convolution, and those of a module whose layers are not of this package: exporters fold these where they can.
    """
    for layer in network.modules():
        if isinstance(layer, (ConvLayer, Separable)) and isinstance(layer.norm, nn.BatchNorm2d):
            # of a separable convolution, the last part that computes
            conv = layer.depthwise if isinstance(layer, Separable) else getattr(layer.conv, "pointwise", layer.conv)
            _take_in(conv, layer.norm)  # type: ignore[arg-type]
            layer.norm = nn.Identity()


def _take_in(conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> None:
    """y = scale (W x + b - mean) + shift = (scale W) x + scale (b - mean) + shift, in double precision."""
    mean, variance, weight, shift = (
        _of(each).double() for each in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    scale = weight / (variance + norm.eps).sqrt()
    # where its pixels are shuffled, a channel is several of the convolution's, side by side
    times = conv.out_channels // norm.num_features
    scale, mean, shift = (each.repeat_interleave(times) for each in (scale, mean, shift))
    bias = mean.new_zeros(()) if conv.bias is None else conv.bias.double()
    conv.bias = nn.Parameter((scale * (bias - mean) + shift).to(conv.weight.dtype))
    # which axis counts the channels that come out
    axis = 1 if isinstance(conv, nn.ConvTranspose2d) and conv.groups == 1 else 0
    shape = [-1 if each == axis else 1 for each in range(4)]
    conv.weight.copy_(conv.weight.double() * scale.reshape(shape))


def _of(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "our batch norms have statistics and parameters"
    return tensor
