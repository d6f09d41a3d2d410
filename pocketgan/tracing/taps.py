"""Where a student's features are compared with its teacher's: before and after the bottleneck, and at each
resolution on the way up."""

from __future__ import annotations

from torch import nn
from torch.fx import Node

from pocketgan.errors import SpecError, unknown
from pocketgan.tracing.contract import Value
from pocketgan.tracing.flow import Flow, Step

#: what belongs to the layer before it
_AFTER = ("batch_norm", "instance_norm", "group_norm", "relu", "leaky_relu", "silu", "gelu", "prelu", "elu", "mish")
_NO_MAPS = ("matmul", "bmm", "softmax", "scaled_dot", "reshape", "view", "transpose", "permute")


def taps_of(flow: Flow, named: tuple[str, ...] = ()) -> list[tuple[str, Node]]:
    """The taps by name, in the order of the forward. `named`: paths of modules, whose last results they are.

    Raises `SpecError` for a path that forward does not run through, or whose result is no feature map.
    """
    steps = [step for step in flow.steps if _map(flow, step)]
    if named:
        nodes = {node: name for name, node in (_named(flow, steps, path) for path in reversed(named))}
        return [(name, node) for node, name in reversed(nodes.items())]
    whole = flow.image.tensor.shape[2:].numel()
    trunk = [step for step in steps if 1 < _area(step) < whole]
    if not trunk:  # one resolution all through: in the middle, and before the image is made
        inner = [step for step in steps if _area(step) == whole and step.node is not flow.output]
        trunk = inner[: max(1, len(inner) - 2)]
    if not trunk:
        return []
    smallest = min(map(_area, trunk))
    places = [i for i, step in enumerate(trunk) if _area(step) == smallest]
    first, last = places[0] if len(places) < len(trunk) else len(trunk) // 2, places[-1]
    while first + 1 < len(trunk) and trunk[first + 1].op.startswith(_AFTER):
        first += 1
    after = trunk[last:]
    found = [trunk[min(first, last)], *(step for step, then in zip(after, [*after[1:], None], strict=True)
                                        if then is None or _area(then) > _area(step))]  # fmt: skip
    names: dict[str, Node] = {}
    for step in dict.fromkeys(step.node for step in found):
        name = _name(_path(step) or step.name)
        names[name if name not in names else step.name] = step
    return list(names.items())


def _named(flow: Flow, steps: list[Step], path: str) -> tuple[str, Node]:
    modules = [name for name, _ in flow.traced.module.named_modules() if name]
    if path not in modules:
        raise unknown("module", path, modules)
    own = [step for step in steps if any(each == path for each, _ in _stack(step.node))]
    if not own:
        raise SpecError(f"'{path}' makes no feature map in forward, and a tap is one; name another module")
    return _name(path), own[-1].node


def _name(path: str) -> str:
    """Of a tap: what a module may be called, since it gets an adaptor of its own."""
    name = path.replace(".", "/")
    return f"{name}/" if hasattr(nn.ModuleDict, name) else name


def _map(flow: Flow, step: Step) -> bool:
    """Whether it makes a feature map: its sides are open where the image's are, those of an attention are not."""
    if not isinstance(step.result, Value) or step.result.tensor.ndim != 4 or step.op.startswith(_NO_MAPS):
        return False
    fixed = any(isinstance(side, int) for side in step.node.meta["val"].shape[2:])
    return step.result.tensor.shape[0] == flow.batch and not (fixed and flow.traced.open_sides)


def _area(step: Step) -> int:
    return int(step.result.tensor.shape[2:].numel())


def _stack(node: Node) -> list[tuple[str, str]]:
    return list((node.meta.get("nn_module_stack") or {}).values())


def _path(node: Node) -> str:
    stack = _stack(node)
    return str(stack[-1][0]) if stack and not stack[-1][0].startswith("_empty") else ""
