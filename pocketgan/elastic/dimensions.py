"""Which tensor dimensions depend on which width group: derived from the spec, never declared.

Change one width group and see which dimensions of which tensors change size. Importance order, pruning and
the cost model all rest on this.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from pocketgan.elastic.slicing import segments, skeleton
from pocketgan.networks import NetworkSpec


@dataclass(frozen=True)
class Dimension:
    """One dimension of a tensor: constant + sum over groups of factor * width."""

    constant: int
    factors: tuple[tuple[int, int], ...]

    @property
    def group(self) -> int | None:
        """The position of the width group that alone sets this dimension, if there is one."""
        return self.factors[0][0] if len(self.factors) == 1 and not self.constant else None

    def at(self, widths: tuple[int, ...]) -> int:
        """Its size at these widths."""
        return self.constant + sum(factor * widths[g] for g, factor in self.factors)


def vary(widths: tuple[int, ...], position: int) -> tuple[int, ...]:
    """One width group one larger."""
    return (*widths[:position], widths[position] + 1, *widths[position + 1 :])


def fit(widths: tuple[int, ...], size: int, varied: list[int]) -> Dimension:
    """The affine function with value `size` at `widths` and `varied[g]` where group g is one larger."""
    factors = tuple((g, value - size) for g, value in enumerate(varied) if value != size)
    return Dimension(size - sum(factor * widths[g] for g, factor in factors), factors)


@lru_cache(maxsize=64)
def dimensions(spec: NetworkSpec) -> dict[str, tuple[Dimension, ...]]:
    """Every tensor's dimensions as functions of the widths."""
    varied = [shapes(spec.resized(vary(spec.widths, g))) for g in range(len(spec.widths))]
    return {
        name: tuple(
            fit(spec.widths, size, [other[name][axis] for other in varied]) for axis, size in enumerate(shape)
        )
        for name, shape in shapes(spec).items()
    }


@lru_cache(maxsize=64)
def parts(spec: NetworkSpec) -> dict[str, tuple[tuple[Dimension, ...], ...]]:
    """For each axis of every tensor: the dimensions of the parts that it holds one after another, mostly one."""
    found: dict[str, list[tuple[Dimension, ...]]] = {
        name: [(dim,) for dim in dims] for name, dims in dimensions(spec).items()
    }
    varied = [segments(skeleton(spec.resized(vary(spec.widths, g)))) for g in range(len(spec.widths))]
    for name, (axis, sizes) in segments(skeleton(spec)).items():
        found[name][axis] = tuple(
            fit(spec.widths, size, [other[name][1][i] for other in varied]) for i, size in enumerate(sizes)
        )
    return {name: tuple(axes) for name, axes in found.items()}


def shapes(spec: NetworkSpec) -> dict[str, torch.Size]:
    """Every tensor's shape."""
    return {name: tensor.shape for name, tensor in skeleton(spec).state_dict().items()}
