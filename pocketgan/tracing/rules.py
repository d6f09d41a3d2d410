"""What each operation demands of the channels that go through it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pocketgan.tracing.classes import compact, varying
from pocketgan.tracing.contract import Layers, Operand, Value, aligned, contract, letters_of, tidy
from pocketgan.tracing.moves import MOVES, NEW, SAME_SIZE, SPATIAL, Moves, flat, pointwise

POINTWISE = {
    *("dropout", "feature_dropout", "alpha_dropout", "contiguous", "clone", "to", "detach", "alias", "_to_copy"),
    *(
        "type_as",
        "lift_fresh_copy",
        "hardtanh",
        "relu6",
        "leaky_relu",
        "elu",
        "celu",
        "selu",
        "silu",
        "mish",
        "gelu",
    ),
    *("softplus", "hardswish", "hardsigmoid", "hardshrink", "softshrink", "logsigmoid", "clamp", "clip", "rrelu"),
    *("add", "sub", "rsub", "mul", "div", "divide", "multiply", "subtract", "true_divide", "square", "threshold"),
    *("where", "copy", "float", "sigmoid", "tanh", "relu", "abs", "pow", "zeros_like", "ones_like", "rand_like"),
    *("randn_like", "empty_like", "full_like", "complex", "real", "imag", "softsign", "nan_to_num", "lerp", "glu_"),
    *("addcmul", "addcdiv", "maximum", "minimum", "max", "min", "exp", "log", "sqrt", "rsqrt", "neg"),
}
SUMS = {"mean", "sum", "amax", "amin", "var", "std", "norm", "linalg_vector_norm", "logsumexp", "prod", "var_mean"}


class Rules(Moves):
    """Layers of results, by operation."""

    def layers(self, op: str, args: list[Any], kwargs: dict[str, Any], result: Any, where: str) -> Any:
        """The layers of a result, or a list of those of several."""
        name = op.partition(".")[0]
        name = name.rstrip("_") if not name.startswith("_") or name.endswith("_") else name
        values = [value for value in flat([args, list(kwargs.values())]) if isinstance(value, Value)]
        own = getattr(self, f"_{name}", None)
        if own is not None:
            return own(args, kwargs, result)
        if name in MOVES:
            return self._move(op, args, kwargs, result)
        if name.startswith(SPATIAL):
            return self._spatial(values, result, name)
        if name in SUMS and not (name in ("amax", "amin") and len(values) > 1):
            return self._reduced(name, args, kwargs, result)
        if name in NEW:
            return self._new(args, result)
        if name in POINTWISE or pointwise(op):
            return self._pointwise(values, result)
        reason = f"what {name} does to channels is not known here; use another operation there"
        for value in values:
            for layer in value.layers:
                self.classes.fix(layer, reason)
        return [[] for _ in result] if isinstance(result, (list, tuple)) else []

    # -- operations that meet ------------------------------------------------------------------------------------

    def _pointwise(self, values: list[Value], result: Any) -> Any:
        if isinstance(result, (list, tuple)):
            return [[] for _ in result]
        out = letters_of(result.ndim)
        operands = [Operand.of(value, out[result.ndim - value.tensor.ndim :]) for value in values]
        return contract(self.classes, operands, out, SAME_SIZE)

    def _prelu(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        x, weight = args
        out = letters_of(result.ndim)
        slopes = [Operand.of(weight, "b")] if weight.tensor.numel() > 1 else []
        return contract(self.classes, [Operand.of(x, out), *slopes], out, SAME_SIZE)

    def _batch_norm(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        x, *own = args[:5]
        out = letters_of(result.ndim)
        held = [Operand.of(value, "b") for value in own if value is not None]
        return contract(self.classes, [Operand.of(x, out), *held], out, SAME_SIZE)

    _instance_norm = _batch_norm

    def _layer_norm(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        x, shape, *own = args[:4]
        out = letters_of(result.ndim)
        last = out[result.ndim - len(shape) :]
        self._statistic(x, range(result.ndim - len(shape), result.ndim))
        held = [Operand.of(value, last) for value in own if value is not None]
        return contract(self.classes, [Operand.of(x, out), *held], out, SAME_SIZE)

    def _rms_norm(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        return self._layer_norm(args[:3], kwargs, result)

    def _group_norm(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        x, groups, *own = args[:4]
        self.whole_groups(x, groups, "a group norm keeps its groups whole")
        out = letters_of(result.ndim)
        held = [Operand.of(value, "b") for value in own if value is not None]
        return contract(self.classes, [Operand.of(x, out), *held], out, SAME_SIZE)

    def whole_groups(self, x: Value, groups: int, reason: str) -> bool:
        """Tie the channels of each group, unless there is one, or all groups hold the same; whether it did."""
        rows = [compact(self.classes.find(layer)) for layer in x.layers]
        tied = False
        for layer in rows:
            if layer.ndim < 2 or layer.shape[1] == 1 or groups == 1:
                continue
            parts = layer.unflatten(1, (groups, -1))
            if bool((parts == parts[:, :1]).all()):
                continue
            self.classes.join(parts, parts[:, :, :1], reason)
            tied = True
        return tied

    def _statistic(self, x: Value, axes: Any) -> None:
        """What is taken over some axes alike for all others may be dropped freely there; else it stays together."""
        axes = set(axes)
        for layer in x.layers:
            layer = compact(self.classes.find(layer))
            if set(varying(layer)) - axes:
                for axis in set(varying(layer)) & axes:
                    self.classes.join(layer, layer.narrow(axis, 0, 1), "a statistic is taken over its channels")

    def _softmax(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        self._statistic(args[0], [args[1] % result.ndim])
        return tidy(self.classes, args[0].layers)

    _log_softmax = _softmax
    _cumsum = _softmax

    def _reduced(self, name: str, args: list[Any], kwargs: dict[str, Any], result: Any) -> Any:
        x = args[0]
        count = x.tensor.ndim
        place = 2 if name in ("norm", "linalg_vector_norm") else 1
        dims = args[place] if len(args) > place else kwargs.get("dim")
        dims = list(range(count)) if dims in (None, []) else [dims] if isinstance(dims, int) else dims
        summed = {dim % count for dim in dims}
        letters = letters_of(count)
        left = "".join(letter for axis, letter in enumerate(letters) if axis not in summed)
        layers = contract(self.classes, [Operand.of(x, letters)], left, "a statistic is taken over its channels")
        first = result[0] if isinstance(result, (list, tuple)) else result
        if first.ndim == count:
            layers = [aligned(layer, left, letters) for layer in layers]
        return [layers] * len(result) if isinstance(result, (list, tuple)) else layers

    # -- products ------------------------------------------------------------------------------------------------

    def _linear(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        x, weight, *bias = args
        rest = letters_of(x.tensor.ndim - 1)
        operands = [Operand.of(x, rest + "y"), Operand.of(weight, "zy")]
        operands += [Operand.of(each, "z") for each in bias if each is not None]
        return contract(self.classes, operands, rest + "z", SAME_SIZE)

    def _matmul(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        left, right = args[:2]
        count = max(left.tensor.ndim, right.tensor.ndim) - 2
        batch = letters_of(max(count, 0))
        first = "y" if left.tensor.ndim == 1 else batch[len(batch) - left.tensor.ndim + 2 :] + "xy"
        second = "y" if right.tensor.ndim == 1 else batch[len(batch) - right.tensor.ndim + 2 :] + "yz"
        out = batch + ("x" if left.tensor.ndim > 1 else "") + ("z" if right.tensor.ndim > 1 else "")
        return contract(self.classes, [Operand.of(left, first), Operand.of(right, second)], out, SAME_SIZE)

    _bmm = _mm = _mv = _dot = _vdot = _matmul

    def _addmm(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        product = Value(result, self._matmul(args[1:3], {}, result))
        return self._pointwise([args[0], product], result)  # type: ignore[no-any-return]

    _baddbmm = _addmm

    def _scaled_dot_product_attention(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        query, key, value = args[:3]
        batch = letters_of(query.tensor.ndim - 2)
        operands = [Operand.of(query, batch + "xz"), Operand.of(key, batch + "yz")]
        layers = contract(self.classes, operands, batch + "xy", SAME_SIZE)
        attention = Operand(layers, batch + "xy", (*query.tensor.shape[:-1], key.tensor.shape[-2]))
        return contract(self.classes, [attention, Operand.of(value, batch + "yw")], batch + "xw", SAME_SIZE)

    def _einsum(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        inputs, _, out = args[0].replace(" ", "").partition("->")
        operands = [Operand.of(v, letters) for v, letters in zip(args[1], inputs.split(","), strict=True)]
        return contract(self.classes, operands, out, SAME_SIZE)

    def _conv2d(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        return self._convolve(args, args[6] if len(args) > 6 else 1, transposed=False)

    _conv1d = _conv3d = _conv2d

    def _conv_transpose2d(self, args: list[Any], kwargs: dict[str, Any], result: Tensor) -> Layers:
        return self._convolve(args, args[6] if len(args) > 6 else 1, transposed=True)

    _conv_transpose1d = _conv_transpose3d = _conv_transpose2d

    def _convolve(self, args: list[Any], groups: int, *, transposed: bool) -> Layers:
        x, weight, bias = (*args[:3], None)[:3]
        count = x.tensor.ndim - 2
        self._fix_positions(x, "its positions are pixels")
        self._fix_positions(weight, "kernels keep their size")
        space, kernel, seen = "stuv"[:count], "klmn"[:count], "pqrw"[:count]
        shape = (x.tensor.shape[0], groups, x.tensor.shape[1] // groups, *x.tensor.shape[2:])
        source = Operand([_spread(layer, groups, 1) for layer in x.layers], "bgi" + space, shape)
        axis = 0  # of the weight, the one that all groups share
        inside = weight.tensor.shape[axis if transposed else 1 - axis]
        per_group = (inside // groups) if transposed else inside
        whole = groups > 1 and (per_group == 1 or self._differ(source))
        letters = ("gio" if transposed else "goi") + kernel
        sizes = (groups, weight.tensor.shape[0] // groups, *weight.tensor.shape[1:])
        cut = Operand([_spread(layer, groups, 0) for layer in weight.layers], letters, sizes)
        if whole:
            reason = "a grouped convolution keeps its groups whole"
            for operand in (source, cut):
                for layer in operand.layers:
                    moving = {operand.letters[a] for a in varying(layer)}
                    if "g" not in moving:
                        self.classes.fix(layer, reason)  # what all groups share, as their inputs
                        continue
                    for letter in moving - {"g"}:
                        place = operand.letters.index(letter)
                        self.classes.join(layer, layer.narrow(place, 0, 1), reason)
        elif groups > 1:
            for layer in cut.layers:
                if {"g", "o"} <= {cut.letters[a] for a in varying(layer)}:
                    place = cut.letters.index("g")
                    self.classes.join(layer, layer.narrow(place, 0, 1), "all groups are alike")
        operands = [source, cut]
        if bias is not None:
            spread = [_spread(layer, groups, 0) for layer in bias.layers]
            operands.append(Operand(spread, "go", (groups, bias.tensor.shape[0] // groups)))
        self._refresh(operands)
        outputs = weight.tensor.shape[1] if transposed else weight.tensor.shape[0] // groups
        layers = contract(self.classes, operands, "bgo" + seen, SAME_SIZE)
        shape = (1, groups, outputs, *(1,) * count)
        joined = [layer.expand(layer.shape[0], *shape[1:]).flatten(1, 2) for layer in layers]
        return tidy(self.classes, joined)

    def _differ(self, source: Operand) -> bool:
        """Whether the groups of a grouped convolution see different channels."""
        return any(
            layer.shape[1] > 1 and not bool((layer == layer[:, :1]).all())
            for layer in map(self.classes.find, source.layers)
        )

    def _refresh(self, operands: list[Operand]) -> None:
        for operand in operands:
            operand.layers = tidy(self.classes, operand.layers)

    def _fix_positions(self, value: Value, reason: str) -> None:
        for layer in value.layers:
            moving = varying(compact(self.classes.find(layer)))
            if moving and min(moving) > 1:
                self.classes.fix(layer, reason)


def _spread(layer: Tensor, groups: int, axis: int) -> Tensor:
    """The channels of an axis as groups and what each holds."""
    if layer.shape[axis] == 1:
        return layer.unsqueeze(axis)
    return layer.unflatten(axis, (groups, -1))
