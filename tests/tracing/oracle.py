"""What a subnet of a traced module must compute, told without slicing: by the user's own forward at full width."""

import copy

import torch
import torch.nn.functional as F
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from pocketgan.elastic.dimensions import parts


class _OfThoseLeft(TorchFunctionMode):
    """Statistics over channels are taken over those that are left.

    Of a norm with weights these are the channels whose weight is not zero; in the forward of a module of
    `statistics` those that its tensor of that name has.
    """

    kept = None

    def within(self, part, kept):
        """Let the statistics in forward of this module be of the kept channels."""
        forward = part.forward

        def of_kept(*args):
            self.kept = kept.view(1, -1, 1, 1)
            try:
                return forward(*args)
            finally:
                self.kept = None

        part.forward = of_kept

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.layer_norm and self.kept is not None:
            return _normalised(args[0], self.kept, (1, 2, 3))
        if func in (torch.Tensor.mean, torch.Tensor.var) and self.kept is not None:
            axes = (args[1],) if isinstance(args[1], int) else args[1]
            if 1 in axes:
                mean, variance, count = _statistics(args[0], self.kept, axes)
                return mean if func is torch.Tensor.mean else variance * count / (count - 1)
        elif func is F.layer_norm or (func is F.group_norm and args[1] == 1):
            weight, bias = (
                kwargs.get(n, args[i] if len(args) > i else None) for i, n in ((2, "weight"), (3, "bias"))
            )
            axes = (-1,)
            if func is F.group_norm:
                axes, weight, bias = (1, 2, 3), weight.view(1, -1, 1, 1), bias.view(1, -1, 1, 1)
            return _normalised(args[0], (weight != 0).to(weight.dtype), axes) * weight + bias
        return func(*args, **kwargs)


def _statistics(x, kept, axes):
    """Mean and variance over the kept entries along some axes, and how many there are."""
    kept = kept.expand_as(x)
    count = kept.sum(axes, keepdim=True)
    mean = (x * kept).sum(axes, keepdim=True) / count
    return mean, ((x - mean).pow(2) * kept).sum(axes, keepdim=True) / count, count


def _normalised(x, kept, axes):
    mean, variance, _ = _statistics(x, kept, axes)
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


def masked(module, spec, widths, state, x, statistics):
    """The output of the user's module with all that the subnet lacks set to zero.

    Args:
        statistics: by class of module, the tensor of it that has the channels which statistics in its forward see.
    """
    kept = masks(spec, widths, state)
    cut = {name: tensor * kept[name].to(tensor.dtype) for name, tensor in state.items()}
    own, mode = copy.deepcopy(module).eval(), _OfThoseLeft()
    for path, part in own.named_modules():
        if type(part) in statistics:
            mode.within(part, kept[f"{path}.{statistics[type(part)]}".removeprefix(".")].to(x.dtype))
    with mode:
        return functional_call(own, cut, (x,), strict=False)
