"""A traced graph run once without entries: which channels go where, and which belong together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from pocketgan.errors import SpecError
from pocketgan.tracing.classes import Classes, compact, varying
from pocketgan.tracing.contract import Value, tidy
from pocketgan.tracing.graph import Traced
from pocketgan.tracing.moves import NEW, flat
from pocketgan.tracing.rules import Rules

#: sides at which a graph of open size is looked at: small ones are quick
SIDES = (16, 32, 64, 128, 256, 512)
COPIES = {"expand": 1, "repeat": 1, "expand_as": None, "broadcast_to": 1, "tile": 1}
IMAGE = "it makes the image"


@dataclass
class Step:
    """An operation as it ran: its arguments and result hold `Value`s in the place of tensors."""

    node: Node
    op: str
    args: list[Any]
    kwargs: dict[str, Any]
    result: Any
    #: of a convolution or group norm: whether its groups are dropped as a whole
    whole: bool = False


@dataclass
class Flow:
    """All steps in order, the values of all nodes, the atoms of each axis of each tensor."""

    traced: Traced
    classes: Classes
    batch: int
    image: Value
    output: Node
    atoms: dict[str, list[Tensor | None]] = field(default_factory=dict)
    values: dict[Node, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    #: for each cut along an axis: the atoms of each piece
    pieces: list[Tensor] = field(default_factory=list)

    @property
    def of_node(self) -> dict[Node, Step]:
        return {step.node: step for step in self.steps}


def flow_of(traced: Traced, example: Tensor) -> Flow:
    """Run it at the smallest size that it takes. Sides are not open where it takes no other one."""
    sides = [(side, side) for side in SIDES if side < min(example.shape[2:])] if traced.open_sides else []
    failure: Exception | None = None
    for size in [*sides, tuple(example.shape[2:])]:
        try:
            _sizes(traced, size)
        except Exception as error:  # too small for a padding, or for as many halvings
            failure = error
            continue
        if traced.open_sides and size == tuple(example.shape[2:]) and not _runs(traced, (2 * size[0], 2 * size[1])):
            traced = replace(traced, open_sides=False)
        if not _runs(traced, size, batch=3):
            raise SpecError(
                f"the forward of {type(traced.module).__name__} fixes the number of images; take it from "
                "x.shape[0] where it says len(x) or a number"
            )
        return _flow(traced, size)
    raise SpecError(
        f"the traced forward does not run at {example.shape[2]} x {example.shape[3]} pixels: {failure}; "
        "give another example"
    ) from failure


def _runs(traced: Traced, size: tuple[int, ...], batch: int | None = None) -> bool:
    try:
        _sizes(traced, size, batch)
    except Exception:  # what a forward says of sizes that it does not take is its own
        return False
    return True


def _sizes(traced: Traced, size: tuple[int, ...], batch: int | None = None) -> dict[Node, Any]:
    """What every node gives, without entries."""
    batch = batch or (2 if traced.open_batch else 1)
    found: dict[Node, Any] = {}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            if node.name == traced.image:
                channels = node.meta["val"].shape[1]
                found[node] = torch.empty(batch, channels, *size, device="meta")
            elif node.name in traced.names:
                found[node] = traced.tensors[traced.names[node.name]].detach().to("meta")
        elif node.op == "call_function":
            args, kwargs = torch.fx.node.map_arg((node.args, dict(node.kwargs)), lambda n: found[n])
            kwargs = {k: ("meta" if isinstance(v, torch.device) else v) for k, v in kwargs.items()}
            with torch.no_grad():
                found[node] = node.target(*args, **kwargs)
    return found


def op_of(node: Node) -> str:
    """Its name: of ATen, as conv2d.default, else of arithmetic, as operator.mul."""
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target).removeprefix("aten.")
    return f"operator.{target.__name__}"


def _flow(traced: Traced, size: tuple[int, ...]) -> Flow:
    sizes, classes = _sizes(traced, size), Classes()
    rules = Rules(classes)
    (output,) = (node for node in traced.graph.nodes if node.op == "output")
    outputs: Any = output.args[0]
    (last,) = outputs
    flow = Flow(traced, classes, 2 if traced.open_batch else 1, Value(torch.empty(0)), last)
    for node in traced.graph.nodes:
        if node.op == "placeholder" and node in sizes:
            tensor = sizes[node]
            if node.name == traced.image:
                flow.image = flow.values[node] = Value(tensor)
                continue
            name = traced.names[node.name]
            if name not in flow.atoms:
                flow.atoms[name] = [classes.fresh(n) if n > 1 else None for n in tensor.shape]
            layers = []
            for axis, atoms in enumerate(flow.atoms[name]):
                if atoms is not None:
                    layers.append(atoms.view([-1 if a == axis else 1 for a in range(tensor.ndim)]))
            flow.values[node] = Value(tensor, layers)
        elif node.op == "call_function":
            _step(flow, rules, node, sizes)
    values = [value for value in flat([flow.values[last]]) if isinstance(value, Value)]
    for value in values:
        for layer in value.layers:
            classes.fix(layer, IMAGE)
    _separate(flow)
    return flow


def _step(flow: Flow, rules: Rules, node: Node, sizes: dict[Node, Any]) -> None:
    read: Any = torch.fx.node.map_arg((list(node.args), dict(node.kwargs)), lambda n: flow.values[n])
    args, kwargs = read
    result, op = sizes[node], op_of(node)
    if op.startswith("operator.") or op.startswith("sym_size"):
        if op == "operator.getitem":
            flow.values[node] = args[0][args[1]]
        else:
            flow.values[node] = result
            if isinstance(result, Tensor):
                flow.values[node] = Value(result)
        return
    name = op.partition(".")[0]
    whole = False
    if name == "group_norm":
        whole = args[0].tensor.shape[1] > 0 and _whole(rules, args[0], args[1])
    elif name.startswith("conv") and len(args) > 6 and isinstance(args[6], int) and args[6] > 1:
        whole = _conv_whole(rules, args, name)
    layers = rules.layers(op, list(args), dict(kwargs), result, node.name)
    if isinstance(result, (list, tuple)):
        value: Any = [Value(tensor, own) for tensor, own in zip(result, layers, strict=True)]
    elif isinstance(result, Tensor):
        value = Value(result, layers)
        if name in COPIES or name in NEW:
            axes = _copied(node, name, args, result)
            value.layers = value.layers + rules.copies(value, result, axes)
    else:
        value = result
    flow.values[node] = value
    flow.steps.append(Step(node, op, list(args), dict(kwargs), value, whole))
    if name in ("slice", "narrow", "select", "split", "split_with_sizes", "chunk", "unbind", "tensor_split"):
        for piece in value if isinstance(value, list) else [value]:
            flow.pieces += [layer.unique() for layer in piece.layers]


def _whole(rules: Rules, x: Value, groups: int) -> bool:
    """Whether a group norm must keep its groups whole."""
    for layer in map(compact, map(rules.classes.find, x.layers)):
        if groups > 1 and layer.ndim > 1 and layer.shape[1] > 1:
            parts = layer.unflatten(1, (groups, -1))
            return not bool((parts == parts[:, :1]).all())
    return False


def _conv_whole(rules: Rules, args: list[Any], name: str) -> bool:
    x, weight, groups = args[0], args[1], args[6]
    per_group = weight.tensor.shape[0] // groups if "transpose" in name else weight.tensor.shape[1]
    return per_group == 1 or _whole(rules, x, groups)


def _copied(node: Node, name: str, args: Any, result: Tensor) -> list[int]:
    """The axes along which an operation makes many of one, as often as a plain number says."""
    place = 1 if name in COPIES or name.startswith("new_") else 0
    times = node.args[place] if len(node.args) > place else []
    if not isinstance(times, (list, tuple)):
        return []
    shift = result.ndim - len(times)
    axes = [axis + shift for axis, n in enumerate(times) if isinstance(n, int) and result.shape[axis + shift] > 1]
    if name in NEW:
        return axes
    source = args[0].tensor
    before = [1] * (result.ndim - source.ndim) + list(source.shape)
    return [axis for axis in axes if before[axis] == 1 and times[axis - shift] > 1]


def _separate(flow: Flow) -> None:
    """No tensor can lack entries that do not form a block: where a layer varies along several axes at once, its
    longest one stays elastic."""
    moved = True
    while moved:
        moved = False
        for step in flow.steps:
            for value in flat([step.result]):
                if not isinstance(value, Value):
                    continue
                value.layers = tidy(flow.classes, value.layers)
                for layer in value.layers:
                    axes = varying(layer)
                    for axis in sorted(axes, key=lambda axis: layer.shape[axis])[: len(axes) - 1]:
                        flow.classes.join(layer, layer.narrow(axis, 0, 1), "its channels are taken apart and mixed")
                        moved = True
