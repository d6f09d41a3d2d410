"""Which sizes of a network depend on which width group: derived from the spec, never declared.

Change one width group and see which dimensions of which tensors, and which numbers of which modules, change too.
All that is elastic rests on this: subnets, importance order, pruning and the cost model.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TypeVar

from torch import nn

from pocketgan.elastic.skeleton import segments, skeleton
from pocketgan.networks import NetworkSpec, Widths

Value = TypeVar("Value")
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Dimension:
    """One size: constant + sum over groups of factor * width."""

    constant: int
    factors: tuple[tuple[int, int], ...]

    @property
    def group(self) -> int | None:
        """The position of the width group that alone sets this dimension, if there is one."""
        return self.factors[0][0] if len(self.factors) == 1 and not self.constant else None

    def at(self, widths: Widths) -> int:
        """Its size at these widths."""
        return self.constant + sum(factor * widths[g] for g, factor in self.factors)


#: for each axis of a tensor: the dimensions of the parts that it holds one after another, mostly one
Axes = tuple[tuple[Dimension, ...], ...]


def narrowest(spec: NetworkSpec) -> NetworkSpec:
    """The same network with every width 1: one value for all that differ in nothing but widths."""
    return spec.model_copy(update={"widths": (1,) * len(spec.widths)})


def vary(widths: Widths, position: int) -> Widths:
    """One width group one larger."""
    return (*widths[:position], widths[position] + 1, *widths[position + 1 :])


def fit(widths: Widths, size: int, varied: list[int]) -> Dimension:
    """The affine function with value `size` at `widths` and `varied[g]` where group g is one larger."""
    factors = tuple((g, value - size) for g, value in enumerate(varied) if value != size)
    return Dimension(size - sum(factor * widths[g] for g, factor in factors), factors)


def _by_form(derive: Callable[[NetworkSpec], Value]) -> Callable[[NetworkSpec], Value]:
    """Derived once for all networks that differ in nothing but widths."""
    derived = lru_cache(maxsize=64)(derive)
    of_form = wraps(derive)(lambda spec: derived(narrowest(spec)))
    of_form.cache_clear = derived.cache_clear  # type: ignore[attr-defined]
    return of_form


@_by_form
def dimensions(spec: NetworkSpec) -> dict[str, tuple[Dimension, ...]]:
    """Every tensor's dimensions as functions of the widths."""
    return _fitted(spec, lambda network: {name: tensor.shape for name, tensor in network.state_dict().items()})


@_by_form
def parts(spec: NetworkSpec) -> dict[str, Axes]:
    """What each axis of every tensor holds."""
    axes: dict[str, list[tuple[Dimension, ...]]] = {n: [(dim,) for dim in d] for n, d in dimensions(spec).items()}
    for (name, axis), held in _fitted(spec, segments).items():
        axes[name][axis] = held
    return {name: tuple(own) for name, own in axes.items()}


@_by_form
def numbers(spec: NetworkSpec) -> dict[tuple[str, str], tuple[Dimension, ...]]:
    """Whole numbers that modules hold, such as the groups of a depthwise convolution; by module and attribute."""
    fitted = _fitted(spec, _whole_numbers)
    return {place: dims for place, dims in fitted.items() if any(dim.factors for dim in dims)}


def _whole_numbers(network: nn.Module) -> dict[tuple[str, str], tuple[int, ...]]:
    held = {
        (name, attribute): value if isinstance(value, tuple) else (value,)
        for name, module in network.named_modules()
        for attribute, value in vars(module).items()
    }
    return {place: value for place, value in held.items() if all(isinstance(one, int) for one in value)}


def _fitted(
    spec: NetworkSpec, view: Callable[[nn.Module], Mapping[Name, tuple[int, ...]]]
) -> dict[Name, tuple[Dimension, ...]]:
    """The sizes that a view of the network shows, as functions of the widths."""
    varied = [view(skeleton(spec.resized(vary(spec.widths, g)))) for g in range(len(spec.widths))]
    return {
        name: tuple(fit(spec.widths, size, [other[name][i] for other in varied]) for i, size in enumerate(sizes))
        for name, sizes in view(skeleton(spec)).items()
    }
