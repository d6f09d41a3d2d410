"""A module as a spec: traced, its width groups found, written down as a program."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn.modules.batchnorm import _BatchNorm

from pocketgan.errors import SpecError
from pocketgan.networks.program import Affine, pack
from pocketgan.networks.traced import KEPT, TracedGenerator, TracedSpec
from pocketgan.tracing.contract import Value
from pocketgan.tracing.flow import Flow, Step, _copied, _runs, flow_of
from pocketgan.tracing.graph import graph_of
from pocketgan.tracing.groups import Groups, scaled
from pocketgan.tracing.moves import NEW
from pocketgan.tracing.taps import taps_of

_TRAINING = {"instance_norm": 5, "batch_norm": 5, "dropout": 2, "feature_dropout": 2, "alpha_dropout": 2}
_SHAPED = {"view": 1, "reshape": 1, "_unsafe_view": 1, "expand": 1, "broadcast_to": 1}
_CUTS = ("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "tensor_split")
_UNSAID = ("layout", "pin_memory", "memory_format", "non_blocking", "copy")


class Result:
    """A module traced: `spec`, its `state`, and for the modules that stay as they are, why (`fixed`)."""

    def __init__(
        self, spec: TracedSpec, state: dict[str, Tensor], fixed: dict[str, str], module: nn.Module
    ) -> None:
        self.spec, self.state, self.fixed, self.module = spec, state, fixed, module

    def generator(self) -> TracedGenerator:
        """The module as a traced generator, with its weights, in evaluation mode."""
        network = self.spec.build()
        network.load_state_dict(self.state)
        return network.eval()


def trace(module: nn.Module, example: Tensor, taps: tuple[str, ...] = (), *, open_sides: bool = True) -> Result:
    """The spec of a module at its widest.

    Args:
        example: images (batch, channels, height, width) as it takes them.
        taps: paths of modules whose outputs distillation compares; found by themselves otherwise.
        open_sides: whether the result takes images of other sides too; tracing takes several times as long.

    Raises `SpecError` for a module that cannot be traced, in a line that says where.
    """
    traced = graph_of(module, example, open_sides=open_sides)
    flow = flow_of(traced, example)
    traced = flow.traced
    while True:
        groups = Groups(flow)
        writer = _Writer(flow, groups)
        if writer.written():
            break
    size = flow.image.tensor.shape[2:]
    stride = _stride(flow, size) if traced.open_sides else 1
    modules = {
        path: (type(part).__name__, _plain(part)) if type(part) in KEPT else ("", {})
        for path, part in traced.module.named_modules()
        if path and any(name.startswith(f"{path}.") for name in writer.used)
    }
    state = {name: traced.tensors[name].detach().clone() for name in writer.used}
    content = {
        "format": 1,
        "groups": [[groups.names[g], len(groups.order[g]), groups.units[g]] for g in range(len(groups.order))],
        "options": [groups.options(g) for g in range(len(groups.order))],
        "modules": modules,
        "tensors": {name: _entry(name, traced.tensors[name], groups) for name in writer.used},
        "nodes": writer.nodes,
        "output": writer.index[flow.output],
        "taps": {
            name: [writer.index[node], groups.size(flow.values[node], 1)] for name, node in taps_of(flow, taps)
        },
        "in_channels": int(flow.image.tensor.shape[1]),
        "out_channels": int(flow.values[flow.output].tensor.shape[1]),
        "stride": stride,
        "smallest_side": -(-int(size[0]) // stride) * stride,
        "fixed_size": None if traced.open_sides else list(example.shape[2:]),
    }
    if not groups.order:
        raise SpecError(
            f"{type(module).__name__} has no channels that can be left out"
            f"{''.join(f'; {path}: {why}' for path, why in list(_fixed(flow, groups).items())[:1])}"
            "; give a convolutional generator with hidden channels"
        )
    text = json.dumps(content, separators=(",", ":"))
    return Result(TracedSpec.of_program(text), state, _fixed(flow, groups), traced.module)


def _stride(flow: Flow, size: torch.Size) -> int:
    """Of what the sides of images must be multiples: by how much the smallest feature map is smaller."""
    sides = [
        value.tensor.shape[2]
        for value in (step.result for step in flow.steps if "adaptive" not in step.op)
        if isinstance(value, Value) and value.tensor.ndim == 4 and value.tensor.shape[2] > 1
    ]
    stride = 1
    while stride < size[0] // min([*sides, int(size[0])]):
        stride *= 2
    while stride < size[0] and not _runs(flow.traced, (size[0] + stride, size[1] + 2 * stride)):
        stride *= 2
    return stride


def _plain(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module that are plain values."""

    def plain(value: Any) -> bool:
        if isinstance(value, (list, tuple)):
            return all(map(plain, value))
        return value is None or isinstance(value, (bool, int, float, str))

    own = {name: value for name, value in vars(module).items() if not name.startswith("_") and plain(value)}
    return {name: value for name, value in own.items() if name != "training"}


def _entry(name: str, tensor: Tensor, groups: Groups) -> dict[str, Any]:
    parameter = isinstance(tensor, nn.Parameter)
    own = tensor.detach().float()
    std = float(own.std()) if own.numel() > 1 else 0.0
    return {
        "axes": groups.of_tensor(name),
        "parameter": parameter,
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "law": [float(own.mean()), std] if parameter else [0.0, 0.0],
        "content": None if parameter else pack(tensor.detach()),
    }


def _fixed(flow: Flow, groups: Groups) -> dict[str, str]:
    """The modules none of whose outputs can be left out, and why."""
    fixed = {}
    for name, axes in flow.atoms.items():
        path, _, own = name.rpartition(".")
        module = dict(flow.traced.module.named_modules()).get(path)
        out = 1 if isinstance(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)) else 0
        if len(axes) < 2 or own in ("bias",) or axes[out] is None:
            continue
        atoms = axes[out]
        assert atoms is not None
        if not flow.classes.find(atoms).any():
            fixed[path or own] = flow.classes.fixed.get(int(atoms[0]), "it is joined to something fixed")
    return fixed


class _Writer:
    """Writes the steps of a flow as the nodes of a program."""

    def __init__(self, flow: Flow, groups: Groups) -> None:
        self.flow, self.groups = flow, groups
        self.nodes: list[list[Any]] = []
        self.index: dict[Node, int] = {}
        self.used: dict[str, None] = {}
        self.steps = flow.of_node
        self.failed = False

    def written(self) -> bool:
        """Whether all could be written; else something more was fixed, and the groups must be found anew."""
        for node in self.flow.traced.graph.nodes:
            if node.op == "placeholder" and node.name == self.flow.traced.image:
                self.index[node] = 0
            elif node.op == "call_function":
                self.nodes.append(self._node(node))
                self.index[node] = len(self.nodes)
        return not self.failed

    def _node(self, node: Node) -> list[Any]:
        step = self.steps.get(node)
        if step is None:
            name = getattr(node.target, "__name__", "").partition(".")[0]
            return [f"operator.{name}", [self._arg(arg) for arg in node.args], {}]
        name = step.op.partition(".")[0]
        if name.endswith("_") and not name.startswith("_"):
            name = name[:-1]
        if name == "batch_norm" and (path := self._batch_norm(node)):
            return ["module", [path, self._arg(node.args[0])], {}]
        args = [self._arg(arg) for arg in node.args]
        kwargs = {key: self._arg(value) for key, value in node.kwargs.items() if key not in _UNSAID}
        if name in _TRAINING and len(args) > _TRAINING[name] and args[_TRAINING[name]] is False:
            args[_TRAINING[name]] = {"training": True}
        return self._sized(step, name, args, kwargs)

    def _sized(self, step: Step, name: str, args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
        """With the numbers that follow the widths."""
        node, op, size = step.node, step.op, self.groups.size
        if name in _SHAPED:
            args[1] = self._shape(node.args[1], step.result, 0)
        elif name == "unflatten":
            args[2] = self._shape(node.args[2], step.result, int(step.args[1]) % step.args[0].tensor.ndim)
        elif name in ("repeat", "tile"):
            for axis in _copied(node, name, step.args, step.result.tensor):
                args[1][axis] = self._said(size(step.result, axis))
        elif name in NEW:
            place = 1 if name.startswith("new_") else 0
            args[place] = self._shape(node.args[place], step.result, 0)
        elif name == "layer_norm":
            args[1] = self._shape(node.args[1], step.result, step.result.tensor.ndim - len(step.args[1]))
        elif name in ("slice", "narrow", "select"):
            self._cut(step, name, args)
        elif name in _CUTS:
            axis = int(step.args[2] if len(step.args) > 2 else kwargs.pop("dim", 0)) % step.args[0].tensor.ndim
            sizes = [self.groups.size(piece, axis) for piece in step.result]
            if any(isinstance(each, list) for each in sizes):
                op, args = "split_with_sizes.default", [args[0], [self._said(each) for each in sizes], axis]
        elif step.whole:
            place = 1 if name == "group_norm" else 6
            channels = step.args[0].tensor.shape[1]
            args[place] = self._said(scaled(size(step.args[0], 1), int(step.args[place]), channels), step, 1)
        elif name == "scaled_dot_product_attention" and kwargs.get("scale") is None:
            kwargs["scale"] = step.args[0].tensor.shape[-1] ** -0.5
        return [f"aten.{op}", args, kwargs]

    def _said(self, size: Affine | None, step: Step | None = None, axis: int = 0) -> Any:
        if size is None:
            assert step is not None
            self._give_up(step.args[0], axis)
            return 0
        return size if isinstance(size, int) else {"size": size}

    def _give_up(self, value: Value, axis: int) -> None:
        for layer in value.layers:
            if layer.shape[axis] > 1:
                self.flow.classes.fix(layer, "a size in forward is computed from it in a way that is not followed")
        self.failed = True

    def _shape(self, sizes: Any, value: Value, first: int) -> list[Any]:
        """The sizes of a result, those of channels by the widths."""
        said = []
        for axis, entry in enumerate(sizes, first):
            size = self.groups.size(value, axis)
            if isinstance(size, int) or (isinstance(entry, int) and entry < 0):
                said.append(self._arg(entry))
            elif isinstance(entry, int):
                said.append(self._said(size))
            else:
                said.append(self._times(entry, size) or self._rest(sizes, said, value, axis))
        return said

    def _rest(self, sizes: Any, said: list[Any], value: Value, axis: int) -> int:
        if not any(isinstance(entry, int) and entry == -1 for entry in [*sizes, *said]):
            return -1
        self._give_up(value, axis)
        return 0

    def _times(self, entry: Node, size: Affine) -> dict[str, Any] | None:
        """A size that forward computes as a number of images times a number of channels."""
        if getattr(entry.target, "__name__", "") != "mul":
            return None
        numbers = [arg for arg in entry.args if isinstance(arg, int)]
        others = [arg for arg in entry.args if isinstance(arg, Node)]
        if len(numbers) != 1 or len(others) != 1:
            return None
        each = scaled(size, numbers[0], int(self.flow.values[entry]))
        return None if each is None else {"times": [self._arg(others[0]), each]}

    def _cut(self, step: Step, name: str, args: list[Any]) -> None:
        """Bounds of a slice by what stands before them."""
        x = step.args[0]
        axis = int(step.args[1]) % x.tensor.ndim if len(step.args) > 1 else 0
        if isinstance(self.groups.size(x, axis), int):
            return
        total = x.tensor.shape[axis]
        if len(step.args) > 4 and step.args[4] != 1:
            self._give_up(x, axis)
        for place in (2,) if name == "select" else (2, 3):
            bound = step.args[place] if len(step.args) > place else None
            if not isinstance(bound, int) or bound >= total:
                continue
            if name == "narrow" and place == 3:
                args[3] = self._said(self.groups.size(step.result, axis))
                continue
            args[place] = self._said(self.groups.before(x, axis, bound % total if bound < 0 else bound))

    def _batch_norm(self, node: Node) -> str | None:
        """The path of the module that does it."""
        names = [self.flow.traced.names.get(getattr(arg, "name", ""), "") for arg in node.args[1:5]]
        path = next((name.rpartition(".")[0] for name in names if name), "")
        module = dict(self.flow.traced.module.named_modules()).get(path)
        if type(module) not in KEPT or not isinstance(module, _BatchNorm):
            return None
        for name, _ in [*module.named_parameters(), *module.named_buffers()]:
            self._use(f"{path}.{name}")
        return path

    def _use(self, name: str) -> None:
        self.used.setdefault(name)

    def _arg(self, arg: Any) -> Any:
        if isinstance(arg, Node):
            if arg.op == "placeholder" and arg.name in self.flow.traced.names:
                name = self.flow.traced.names[arg.name]
                self._use(name)
                return {"tensor": name}
            return {"value": self.index[arg]}
        if isinstance(arg, (list, tuple)):
            return [self._arg(each) for each in arg]
        if isinstance(arg, torch.dtype):
            return {"dtype": str(arg).removeprefix("torch.")}
        if isinstance(arg, torch.device):
            return {"device": True}
        if isinstance(arg, (torch.layout, torch.memory_format)):
            return None
        return arg
