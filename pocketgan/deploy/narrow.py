"""Convolutions of a few channels out of many, as runtimes compute them well.

Runtimes compute the channels that a convolution puts out in blocks of 8 or 16, and fill up what is missing: of a
head's three channels, four fifths of the work is for nothing. So a head is exported in another form that puts out
the same: for each 2x2 pixels at once, as 4 times the channels of a convolution of stride 2 whose kernel is one
larger, and a pixel shuffle. With 7x7 kernels that is 64 multiplies in place of 49 for each four pixels of a block,
which are four times as well used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.deploy.inputs import example_inputs
from pocketgan.networks import Generator

#: four times as many channels fit into one block
MOST = 4
#: of smaller kernels the shuffle takes what the convolution saves
SMALLEST = 5


class FourPixels(nn.Conv2d):
    """What a convolution of stride 1 puts out, as long as its sides are even; its weights have the same names."""

    def __init__(self, plain: nn.Conv2d) -> None:
        out, into, (rows, columns) = plain.out_channels, plain.in_channels, plain.kernel_size
        bias = plain.bias is not None
        super().__init__(into, 4 * out, (rows + 1, columns + 1), 2, plain.padding, bias=bias)  # type: ignore[arg-type]
        weight = plain.weight.new_zeros(out, 2, 2, *self.weight.shape[1:])
        for down in (0, 1):
            for right in (0, 1):
                weight[:, down, right, :, down : down + rows, right : right + columns] = plain.weight.detach()
        self.weight = nn.Parameter(weight.flatten(0, 2))
        if plain.bias is not None:
            self.bias = nn.Parameter(plain.bias.detach().repeat_interleave(4))

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(super().forward(input), 2)


def widen_narrow(network: nn.Module) -> None:
    """In place: the convolutions of a generator that write its picture, so that they put out four pixels at once.

    Others stay: those of a module whose sides need not be even, and those where it would gain nothing.
    """
    if not isinstance(network, Generator) or network.spec.stride % 2:
        return
    side = -(-network.spec.smallest_side // network.spec.stride) * network.spec.stride
    found: set[str] = set()
    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: found.add(name) if output.shape[2:] == (side, side) else None
        )
        for name, module in network.named_modules()
        if type(module) is nn.Conv2d and _is_narrow(module)
    ]
    if not hooks:
        return
    with torch.no_grad():
        inputs = example_inputs(network, 1, (side, side))
        network(inputs.pop("image"), **inputs)
    for hook in hooks:
        hook.remove()
    for name in found:
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, FourPixels(network.get_submodule(name)))  # type: ignore[arg-type]


def _is_narrow(layer: nn.Conv2d) -> bool:
    return (
        layer.out_channels <= MOST < layer.in_channels
        and min(layer.kernel_size) >= SMALLEST
        and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
        and not isinstance(layer.padding, str)
        and layer.padding_mode == "zeros"
    )
