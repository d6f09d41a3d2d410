"""What each layer of a network costs, noted in one forward on the meta device; see `cost` for the conventions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from pocketgan.elastic.skeleton import skeleton
from pocketgan.networks import NetworkSpec

_CONVOLUTIONS = (torch.conv2d, torch.conv_transpose2d, F.linear)
_PRODUCTS = (torch.mul, torch.Tensor.mul)
_MATRICES = (torch.matmul, torch.bmm, torch.mm, torch.addmm, torch.baddbmm)
_AVERAGES = (F.adaptive_avg_pool2d, torch.mean, torch.Tensor.mean)
#: what leaves the channels of its first two arguments as they are
_KEEPING = (F.instance_norm, F.batch_norm, F.relu, F.leaky_relu, F.pad, F.interpolate, torch.add, torch.Tensor.add)


@dataclass(frozen=True)
class LayerCost:
    """One layer at given widths. `norm` is the number of elements that an instance norm puts out, and `source` the
    convolution whose channels it has, where that is known; `other` is what torchprofile counts that nobody else
    does. `sizes`: the numbers whose product `weights` is, where no parameter of this name has them as its shape.
    `grouped`: whether a convolution reads its channels in groups."""

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
    grouped: bool = False

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
        if func is torch.conv_transpose2d:
            grouped = weight.shape[1] != result.shape[1]
        else:
            grouped = func is torch.conv2d and weight.shape[1] != source.shape[1]
        return LayerCost(
            name=name,
            kind=func.__name__,
            out_shape=tuple(result.shape[1:]),
            params=weight.numel() + (0 if bias is None else bias.numel()) if name else 0,
            paper_positions=outside,
            true_positions=inside if func is torch.conv_transpose2d else outside,
            weights=weight.numel(),
            sizes=() if name else tuple(weight.shape),
            grouped=grouped,
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
