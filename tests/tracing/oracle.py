"""What a subnet of a traced module must compute, told without slicing: by the user's own forward at full width."""

import copy

import torch
import torch.nn.functional as F
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from pocketgan.elastic.dimensions import parts


class _OfThoseLeft(TorchFunctionMode):
    """Layer norms take their statistics over the channels that are left: those whose weight is not zero."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.layer_norm or (func is F.group_norm and args[1] == 1):
            weight, bias = (
                kwargs.get(n, args[i] if len(args) > i else None) for i, n in ((2, "weight"), (3, "bias"))
            )
            axes = (-1,)
            if func is F.group_norm:
                axes, weight, bias = (1, 2, 3), weight.view(1, -1, 1, 1), bias.view(1, -1, 1, 1)
            return _normalised(args[0], (weight != 0).to(weight.dtype), axes) * weight + bias
        return func(*args, **kwargs)


def _normalised(x, kept, axes):
    kept = kept.expand_as(x)
    count = kept.sum(axes, keepdim=True)
    mean = (x * kept).sum(axes, keepdim=True) / count
    variance = ((x - mean).pow(2) * kept).sum(axes, keepdim=True) / count
    return (x - mean) / (variance + 1e-5).sqrt()


def masks(spec, widths, state):
    """For each tensor, 1 where the subnet has it and 0 elsewhere."""
    found = {}
    for name, axes in parts(spec).items():
        mask = torch.ones_like(state[name], dtype=torch.float32)
        for axis, held in enumerate(axes):
            along = [torch.arange(p.at(spec.widths)) < p.at(widths) for p in held]
            shape = [-1 if a == axis else 1 for a in range(mask.ndim)]
            mask = mask * torch.cat(along).float().view(shape)
        found[name] = mask
    return found


def masked(module, spec, widths, state, x):
    """The output of the user's module with all that the subnet lacks set to zero."""
    kept = masks(spec, widths, state)
    cut = {name: tensor * kept[name].to(tensor.dtype) for name, tensor in state.items()}
    with _OfThoseLeft():
        return functional_call(copy.deepcopy(module).eval(), cut, (x,), strict=False)
