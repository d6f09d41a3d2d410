"""Batch norm over the batches of all processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketgan.distributed.world import ALONE, World


def join(network: nn.Module, world: World) -> None:
    """From now on the network is one of several that learn as one: in training mode its batch norms see the batches
    of all processes, of which each has as many samples. In place; its tensors stay as they are.

    Modules that run others which they make later say so by an attribute `world`, and get it here.
    """
    if world.size == 1:
        return
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = JointBatchNorm
        if hasattr(module, "world"):
            module.world = world  # type: ignore[assignment]


class JointBatchNorm(_BatchNorm):
    """In training mode, y = (x - mean) / sqrt(var + eps) * weight + bias with the mean and the biased variance of
    all processes' samples together; else a batch norm like any other.

    PyTorch's own `SyncBatchNorm` does the same on GPUs only. The variance of equal parts is the mean of theirs plus
    the variance of their means.

    Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American Statistician 1983.
    """

    world: World = ALONE

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            without = self.running_mean is None  # then each batch has statistics of its own
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, without, 0.0, self.eps
            )
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        axes = [axis for axis in range(x.dim()) if axis != 1]
        parts = self.world.stacked(torch.stack([x.mean(axes), x.var(axes, correction=0)]))
        mean = parts[:, 0].mean(0)
        var = parts[:, 1].mean(0) + (parts[:, 0] - mean).square().mean(0)
        self._remember(mean.detach(), var.detach(), self.world.size * x.numel() // x.shape[1])
        scale = torch.rsqrt(var + self.eps)
        shape = [1, -1] + [1] * (x.dim() - 2)
        if self.weight is not None:
            scale = scale * self.weight
        y = (x - mean.view(shape)) * scale.view(shape)
        if self.bias is not None:
            y = y + self.bias.view(shape)
        return y.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, count: int) -> None:
        """The running statistics, of which the variance is the unbiased one."""
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        assert self.momentum is not None, "cumulative averages are for calibration, which one process does"
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_((var * (count / (count - 1))).to(self.running_var.dtype), self.momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        """All that a batch norm takes."""
