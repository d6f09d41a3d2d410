"""Operations that move entries, or make something of every channel by itself: channels stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pocketgan.tracing.classes import Classes, compact, varying
from pocketgan.tracing.contract import Layers, Operand, Value, contract, letters_of, tidy

#: operations that only move entries: the layers go through the same operation
MOVES = {
    *("view", "reshape", "_unsafe_view", "permute", "transpose", "t", "numpy_T", "unsqueeze", "squeeze", "flatten"),
    *("unflatten", "slice", "select", "narrow", "split", "split_with_sizes", "chunk", "unbind", "expand", "flip"),
    *("expand_as", "repeat", "roll", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "movedim", "swapaxes"),
    *(
        "tile",
        "repeat_interleave",
        "unsafe_split",
        "unsafe_chunk",
        "swapdims",
        "moveaxis",
        "view_as",
        "broadcast_to",
    ),
    *("reshape_as", "adjoint", "mT", "tensor_split"),
}
#: over the last two axes, or one or three
SPATIAL = (
    *("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "upsample_", "_upsample_", "lp_pool"),
    *("reflection_pad", "replication_pad", "grid_sampler", "im2col", "fft_", "view_as_real", "view_as_complex"),
    *("circular_pad", "affine_grid"),
)
NEW = {"zeros", "ones", "full", "empty", "rand", "randn", "new_zeros", "new_ones", "new_full", "new_empty"}
SAME_SIZE = "it is joined to something of a fixed number of channels"


class Moves:
    """Layers of results, by operation."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes

    def _move(self, op: str, args: list[Any], kwargs: dict[str, Any], result: Any) -> Any:
        x = args[0]
        # layers are expanded, which not every view is possible of
        function = _named("reshape.default" if op in ("view.default", "_unsafe_view.default") else op)
        others = [arg.tensor if isinstance(arg, Value) else arg for arg in args[1:]]
        moved = [function(layer.expand(x.tensor.shape), *others, **kwargs) for layer in x.layers]
        if isinstance(result, (list, tuple)):
            return [tidy(self.classes, [layers[i] for layers in moved]) for i in range(len(result))]
        return tidy(self.classes, moved)

    def copies(self, x: Value, result: Tensor, axes: list[int]) -> Layers:
        """Fresh atoms along axes on which a value was repeated: copies may be dropped freely."""
        layers = []
        for axis in axes:
            shape = [1] * result.ndim
            shape[axis] = result.shape[axis]
            layers.append(self.classes.fresh(result.shape[axis]).view(shape))
        return layers

    def _new(self, args: list[Any], result: Tensor) -> Layers:
        return []

    def _cat(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        parts, axis = args[0], args[1] if len(args) > 1 else kwargs.get("dim", 0)
        return self._joined([p for p in parts if p.tensor.numel()], axis % result.ndim, result)

    def _stack(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        axis = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % result.ndim
        parts = [Value(v.tensor.unsqueeze(axis), [lay.unsqueeze(axis) for lay in v.layers]) for v in args[0]]
        return self._joined(parts, axis, result)

    def _joined(self, parts: list[Value], axis: int, result: Tensor) -> Layers:
        out = letters_of(result.ndim)
        along: list[Tensor] = []
        across: list[Operand] = []
        for part in parts:
            layers = tidy(self.classes, part.layers)
            own = [layer for layer in layers if axis in varying(layer)]
            for more in own[1:]:
                self.classes.fix(more, "a concatenation of what varies twice along its axis")
            shape = list(own[0].shape if own else [1] * result.ndim)
            shape[axis] = part.tensor.shape[axis]
            along.append(own[0].expand(shape) if own else torch.zeros(shape, dtype=torch.int64))
            size = tuple(1 if place == axis else n for place, n in enumerate(part.tensor.shape))
            across.append(Operand([layer for layer in layers if axis not in varying(layer)], out, size))
        common = torch.broadcast_shapes(
            *(tuple(1 if a == axis else n for a, n in enumerate(t.shape)) for t in along)
        )
        wide = [t.expand([t.shape[axis] if a == axis else n for a, n in enumerate(common)]) for t in along]
        return tidy(self.classes, [torch.cat(wide, axis), *contract(self.classes, across, out, SAME_SIZE)])

    def _pad(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        x, pads = args[0], args[1]
        padded = [result.ndim - 1 - i for i in range(len(pads) // 2) if pads[2 * i] or pads[2 * i + 1]]
        layers = []
        for layer in map(compact, map(self.classes.find, x.layers)):
            if set(varying(layer)) & set(padded):
                layer = torch.nn.functional.pad(layer.expand(x.tensor.shape), pads)
            layers.append(layer)
        return tidy(self.classes, layers)

    _constant_pad_nd = _pad

    def _spatial(self, values: list[Value], result: Any, name: str) -> Any:
        layers: Layers = []
        first, *others = values
        for layer in (layer for value in others for layer in value.layers):
            self.classes.fix(layer, "it says where pixels are taken from")
        for layer in first.layers:
            layer = compact(self.classes.find(layer))
            if set(varying(layer)) - {0, 1} and not name.startswith(("fft_", "view_as")):
                self.classes.fix(layer, "its positions are pixels")
                continue
            if name == "view_as_real":
                layer = layer.unsqueeze(-1)
            elif name == "view_as_complex":
                layer = layer.select(-1, 0)
            elif name == "im2col":
                layer = layer.expand(-1, first.tensor.shape[1], 1, 1)[:, :, :, 0]
                layer = layer.repeat_interleave(result.shape[1] // layer.shape[1], 1)
            layers.append(layer)
        layers = tidy(self.classes, layers)
        return [layers for _ in result] if isinstance(result, (list, tuple)) else layers

    def _index(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        x, indices = args[0], args[1]
        taken = [axis for axis, index in enumerate(indices) if index is not None]
        for layer in x.layers:
            if set(varying(compact(self.classes.find(layer)))) & set(taken):
                self.classes.fix(layer, "single channels are taken out of it by an index")
        some = [None if i is None else torch.zeros(i.tensor.shape, dtype=torch.int64) for i in indices]
        moved = [torch.ops.aten.index.Tensor(layer.expand(x.tensor.shape), some) for layer in x.layers]
        return tidy(self.classes, moved)

    def _embedding(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        return self._index([args[0], [args[1]]], {}, result)


def flat(arg: Any) -> list[Any]:
    return [one for part in arg for one in flat(part)] if isinstance(arg, (list, tuple)) else [arg]


def _named(op: str) -> Callable[..., Any]:
    packet, _, overload = op.partition(".")
    found = getattr(torch.ops.aten, packet)
    return getattr(found, overload) if overload else found  # type: ignore[no-any-return]


def pointwise(op: str) -> bool:
    """Whether PyTorch says that it takes entry by entry."""
    operator: Any = _named(op)
    return "." in op and torch.Tag.pointwise in operator.tags
