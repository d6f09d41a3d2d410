"""What a network costs, from its spec alone: no data, no weights.

Two conventions, both always reported:
`true_macs` counts the multiply-accumulates of convolutions, linear layers and products of matrices. `macs`
follows the papers' tables (torchprofile 0.0.1): a transposed convolution is charged at its *output* positions (4
times the truth at stride 2), and every element that an instance norm puts out counts one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch.overrides import TorchFunctionMode

from pocketgan.elastic.dimensions import Dimension, dimensions, fit, vary
from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import NetworkSpec, Widths

_CONVOLUTIONS = (torch.conv2d, torch.conv_transpose2d, F.linear)
_PRODUCTS = (torch.mul, torch.Tensor.mul)
_MATRICES = (torch.matmul, torch.bmm, torch.mm, torch.addmm, torch.baddbmm)
_AVERAGES = (F.adaptive_avg_pool2d, torch.mean, torch.Tensor.mean)
#: what leaves the channels of its first two arguments as they are
_KEEPING = (F.instance_norm, F.batch_norm, F.relu, F.leaky_relu, F.pad, F.interpolate, torch.add, torch.Tensor.add)
_CHUNK = 1 << 16  # genomes costed at once: the working set stays in the cache


@dataclass(frozen=True)
class LayerCost:
    """One layer at given widths. `norm` is the number of elements that an instance norm puts out, and `source` the
    convolution whose channels it has, where that is known; `other` is what torchprofile counts that nobody else
    does. `sizes`: the numbers whose product `weights` is, where no parameter of this name has them as its shape."""

    name: str
    kind: str
    out_shape: tuple[int, ...]
    params: int = 0
    paper_positions: int = 0
    true_positions: int = 0
    weights: int = 0
    norm: int = 0
    source: str = ""
    other: int = 0
    sizes: tuple[int, ...] = ()

    @property
    def legacy_macs(self) -> int:
        return self.weights * self.paper_positions

    @property
    def macs(self) -> int:
        return self.legacy_macs + self.norm

    @property
    def torchprofile_macs(self) -> int:
        return self.macs + self.other

    @property
    def true_macs(self) -> int:
        return self.weights * self.true_positions


@dataclass(frozen=True)
class Costs:
    """Parameters and MACs of many networks, or of one."""

    params: Int[np.ndarray, "*n"]
    macs: Int[np.ndarray, "*n"]
    true_macs: Int[np.ndarray, "*n"]

    def at(self, index: int) -> dict[str, int]:
        return {name: int(getattr(self, name)[index]) for name in ("params", "macs", "true_macs")}


class _Recorder(TorchFunctionMode):
    """Notes everything that some convention counts in a forward on the meta device."""

    def __init__(self, names: dict[int, str], parameters: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.names, self.parameters = names, parameters
        self.layers: list[LayerCost] = []
        #: whose channels a tensor has, by its identity: the tensor, which stays alive, and the convolution
        self.channels: dict[int, tuple[torch.Tensor, str]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _KEEPING:
            origins = (self.channels.get(id(arg)) for arg in args[:2])
            self._from(result, next((name for _, name in filter(None, origins)), ""))
        if func in _CONVOLUTIONS:
            self.layers.append(self._convolution(func, result, *args[:2]))
            self._from(result, self.layers[-1].name)
        elif func in _MATRICES:
            self._matrices(*[arg for arg in args if isinstance(arg, torch.Tensor)][-2:])
        elif func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            self._matrices(query, key.transpose(-1, -2))
            self._matrices(query.new_empty(*query.shape[:-1], key.shape[-2]), value)
        elif func is F.instance_norm and (kwargs or {}).get("weight") is not None:
            self._note("adaptive_norm", result, other=1)
        elif func is F.instance_norm:
            _, source = self.channels.get(id(args[0]), (None, ""))
            self._note("instance_norm", result, norm=result.numel(), source=source)
        elif func in _AVERAGES:
            self._note("average", result, other=result.numel())
        elif func in _PRODUCTS and all(isinstance(factor, torch.Tensor) for factor in args[:2]):
            self._note("product", result, other=result.numel())
        return result

    def _from(self, result: torch.Tensor, source: str) -> None:
        if source:
            self.channels[id(result)] = result, source

    def _note(self, kind: str, result: torch.Tensor, **facts: Any) -> None:
        self.layers.append(LayerCost("", kind, tuple(result.shape[1:]), **facts))

    def _convolution(
        self, func: Any, result: torch.Tensor, source: torch.Tensor, weight: torch.Tensor
    ) -> LayerCost:
        # a weight may be computed: then its shape is all that is known of it
        known = self.names.get(id(weight), "")
        name = known.removesuffix(".weight") if known.endswith(".weight") else ""
        bias = self.parameters.get(f"{name}.bias")
        outside = result.numel() // result.shape[-1 if func is F.linear else 1]
        inside = source.numel() // source.shape[-1 if func is F.linear else 1]
        return LayerCost(
            name=name,
            kind=func.__name__,
            out_shape=tuple(result.shape[1:]),
            params=weight.numel() + (0 if bias is None else bias.numel()) if name else 0,
            paper_positions=outside,
            true_positions=inside if func is torch.conv_transpose2d else outside,
            weights=weight.numel(),
            sizes=() if name else tuple(weight.shape),
        )

    def _matrices(self, left: torch.Tensor, right: torch.Tensor) -> None:
        """A product of matrices, or of many; with vectors it counts nothing, as in PyTorch's own counter."""
        if min(left.ndim, right.ndim) < 2:
            return
        batch = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        out = (*batch, left.shape[-2], right.shape[-1])
        sizes = (*out, left.shape[-1])
        self.layers.append(LayerCost("", "product of matrices", out, 0, 1, 1, math.prod(sizes), sizes=sizes))


@lru_cache(maxsize=1024)
def layer_costs(spec: NetworkSpec, height: int, width: int | None = None) -> tuple[LayerCost, ...]:
    """The layers in the order in which they run, for one image."""
    network = skeleton(spec.folded)
    parameters = dict(network.named_parameters())
    recorder = _Recorder({id(p): name for name, p in parameters.items()}, parameters)
    image = torch.empty(1, spec.in_channels, height, width or height, device="meta")
    with torch.no_grad(), recorder:
        network(image)
    return tuple(recorder.layers)


def cost(spec: NetworkSpec, height: int, width: int | None = None) -> dict[str, int]:
    """`params`, `macs` and `true_macs` of one network for one image."""
    layers = layer_costs(spec, height, width)
    return {
        "params": sum(p.numel() for p in skeleton(spec).parameters()),
        "macs": sum(layer.macs for layer in layers),
        "true_macs": sum(layer.true_macs for layer in layers),
    }


def official_macs(spec: NetworkSpec, height: int, width: int | None = None) -> dict[str, int]:
    """The MACs of one network for one image by every convention: `legacy_macs`, `macs`, `torchprofile_macs` and
    `true_macs`."""
    layers = layer_costs(spec, height, width)
    names = ("legacy_macs", "macs", "torchprofile_macs", "true_macs")
    return {name: sum(getattr(layer, name) for layer in layers) for name in names}


class CostModel:
    """Costs of any widths of a spec by arithmetic alone.

    Every figure is a sum of products of two affine functions of the widths; the functions are found once by
    varying one width group at a time, after which a million networks take a fraction of a second.
    """

    def __init__(self, spec: NetworkSpec, height: int, width: int | None = None) -> None:
        self.spec, self.size = spec, (height, width)
        self._others: dict[NetworkSpec, CostModel] = {}
        spec = spec.folded
        dims = dimensions(spec)
        layers = layer_costs(spec, height, width)
        kinds = {layer.name: layer.kind for layer in layers}
        self._functions: list[Dimension] = []
        self._terms: dict[str, dict[tuple[int, int], int]] = {
            name: defaultdict(int) for name in ("params", "macs", "true_macs")
        }
        for name in dict(skeleton(spec).named_parameters()):
            self._add("params", 1, dims[name])
        varied: list[tuple[LayerCost, ...]] = []

        def elsewhere(i: int) -> list[LayerCost]:
            """The layer where one width group after the other is one larger."""
            if not varied:
                wider = (spec.resized(vary(spec.widths, g)) for g in range(len(spec.widths)))
                varied.extend(layer_costs(each, height, width) for each in wider)
            return [other[i] for other in varied]

        for i, layer in enumerate(layers):
            if layer.sizes:
                others = elsewhere(i)
                sizes = tuple(
                    fit(spec.widths, size, [other.sizes[k] for other in others])
                    for k, size in enumerate(layer.sizes)
                )
                self._add("macs", layer.paper_positions, sizes)
                self._add("true_macs", layer.true_positions, sizes)
            elif layer.weights:
                self._add("macs", layer.paper_positions, dims[f"{layer.name}.weight"])
                self._add("true_macs", layer.true_positions, dims[f"{layer.name}.weight"])
            elif layer.source and (channels := self._channels(dims, layer.source, kinds)).factors:
                self._add("macs", layer.norm // layer.out_shape[0], (channels,))
            elif layer.norm:
                elements = fit(spec.widths, layer.norm, [other.norm for other in elsewhere(i)])
                self._add("macs", 1, (elements,))

    @staticmethod
    def _channels(
        dims: Mapping[str, tuple[Dimension, ...]], convolution: str, kinds: Mapping[str, str]
    ) -> Dimension:
        """The channels that a convolution puts out; of a transposed one of each channel by itself only the constant
        1, which is those of one group."""
        return dims[f"{convolution}.weight"][kinds[convolution] == "conv_transpose2d"]

    def _add(self, figure: str, scale: int, dims: tuple[Dimension, ...]) -> None:
        """One more term: scale * product of the dimensions, at most two of which vary."""
        for dim in dims:
            if not dim.factors:
                scale *= dim.constant
        one = Dimension(1, ())
        moving = ([dim for dim in dims if dim.factors] + [one, one])[: max(2, sum(bool(d.factors) for d in dims))]
        first, second = sorted(self._index(dim) for dim in moving)
        self._terms[figure][first, second] += scale

    def _index(self, function: Dimension) -> int:
        if function not in self._functions:
            self._functions.append(function)
        return self._functions.index(function)

    def __call__(self, widths: Int[np.ndarray, "n groups"]) -> Costs:
        """The costs of n networks of this spec at other widths."""
        factors = np.zeros((len(self.spec.widths), len(self._functions)))
        constants = np.array([function.constant for function in self._functions], dtype=float)
        for column, function in enumerate(self._functions):
            for group, factor in function.factors:
                factors[group, column] = factor
        totals = {name: np.zeros(len(widths), dtype=np.int64) for name in self._terms}
        for start in range(0, len(widths), _CHUNK):
            part = slice(start, start + _CHUNK)
            # float64 matrix products are exact here (all sizes stay far below 2**53), and faster than integer ones
            values = np.ascontiguousarray((widths[part] @ factors + constants).T)
            for name, terms in self._terms.items():
                total = np.zeros(values.shape[1])
                for (first, second), scale in terms.items():
                    total += scale * values[first] * values[second]
                totals[name][part] = total
        return Costs(**totals)

    def one(self, widths: Widths) -> dict[str, int]:
        """The costs of one network."""
        return self(np.asarray([widths])).at(0)

    def of(self, space: SearchSpace, genomes: Int[np.ndarray, "n choices"]) -> Costs:
        """The costs of subnets of a space over this spec; where depth or kernels are choices, by one model for each
        combination of these, made when it is first met."""
        widths = space.all_widths(genomes)
        costs = {name: np.zeros(len(genomes), dtype=np.int64) for name in self._terms}
        for form, rows in space.forms(genomes):
            own = self._like(form.spec)(widths[rows][:, form.kept])
            for name, figures in costs.items():
                figures[rows] = getattr(own, name)
        return Costs(**costs)

    def _like(self, spec: NetworkSpec) -> CostModel:
        """The model of another spec for the same image."""
        shape, own = (one.model_copy(update={"widths": ()}) for one in (spec, self.spec))
        if shape == own:
            return self
        if shape not in self._others:
            self._others[shape] = CostModel(spec, *self.size)
        return self._others[shape]
