"""Operations that some runtimes lack, in terms of ones that all have; what is computed stays the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Image = Float[Tensor, "batch channels height width"]
Padded = Float[Tensor, "batch channels rows columns"]


def instance_norm(
    x: Image,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Image:
    """(x - mean) / sqrt(var + eps), then times weight plus bias; the biased variance, from the centred pixels."""

    def of_channels(values: Tensor) -> Tensor:
        return values.reshape(1, -1, 1, 1)

    if use_input_stats:
        centred = x - x.mean((2, 3), keepdim=True)
        variance = (centred * centred).mean((2, 3), keepdim=True)
    else:
        assert running_mean is not None, "there are no other statistics"
        assert running_var is not None
        centred, variance = x - of_channels(running_mean), of_channels(running_var)
    y = centred * torch.rsqrt(variance + eps)
    y = y if weight is None else y * of_channels(weight)
    return y if bias is None else y + of_channels(bias)


def reflection_pad2d(x: Image, padding: list[int]) -> Padded:
    """Rows and columns are slices that are joined, the outermost first."""
    return _padded(x, padding, lambda length, distance: distance)


def replication_pad2d(x: Image, padding: list[int]) -> Padded:
    """The outermost rows and columns, again and again."""
    return _padded(x, padding, lambda length, distance: 0)


def _padded(x: Image, padding: list[int], place: Callable[[int, int], int]) -> Padded:
    """`place`: which row or column stands so far beyond the edge, counted from it."""
    left, right, top, bottom = padding
    for axis, first, last in ((3, left, right), (2, top, bottom)):
        length = x.shape[axis]
        before = [x.narrow(axis, place(length, distance), 1) for distance in range(first, 0, -1)]
        after = [x.narrow(axis, length - 1 - place(length, distance), 1) for distance in range(1, last + 1)]
        parts = [torch.cat(each, axis) if len(each) > 1 else each[0] for each in (before, [x], after) if each]
        x = torch.cat(parts, axis) if len(parts) > 1 else x
    return x


def upsample_nearest2d(x: Image, output_size: list[int] | None, scale_factors: list[float] | None) -> Any:
    """To a fraction of the size by steps; all else stays what it is."""
    if output_size is None or any(own % side for own, side in zip(x.shape[2:], output_size, strict=True)):
        return NotImplemented
    for axis, side in zip((2, 3), output_size, strict=True):
        if x.shape[axis] > side:
            x = torch.ops.aten.slice.Tensor(x, axis, 0, x.shape[axis], x.shape[axis] // side)
    return x


def plain_operations() -> dict[Any, Callable[..., Tensor]]:
    """The rewrites by operation, as `ExportedProgram.run_decompositions` takes them."""
    aten = torch.ops.aten
    return {
        aten.instance_norm.default: instance_norm,
        aten.reflection_pad2d.default: reflection_pad2d,
        aten.replication_pad2d.default: replication_pad2d,
    }
