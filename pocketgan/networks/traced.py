"""Any generator of a user, as a value: the operations of its forward, with every size a function of the widths.

`pocketgan.tracing` makes such a program from a module. From then on nothing of the user's code is needed, and a
traced generator is a family like the others: plain, teacher, student and subnet are one program at other
widths. A program holds names of operations and numbers, no code: reading one runs nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.networks.program import Node, Program, TensorEntry, at, read_program
from pocketgan.networks.spec import Generator, Group, NetworkSpec, Tap, ignore

#: modules that keep their class, since others look for it: their weights are ranked, their statistics calibrated
KEPT = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
_KEPT = {kind.__name__: kind for kind in KEPT}
_ARITHMETIC = ("add", "sub", "mul", "floordiv", "mod", "neg", "truediv", "getitem", "pow", "eq", "ne", "lt", "le")


def traced_law(network: TracedGenerator, generator: torch.Generator) -> TracedGenerator:
    """As its author starts it: every tensor from a normal law with the mean and the spread that it had when it was
    traced; buffers as they were."""
    entries = network.program.tensors
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            mean, std = entries[name].law
            parameter.normal_(mean, std, generator=generator) if std else parameter.fill_(mean)
    return network


class TracedSpec(NetworkSpec):
    """A traced generator: its `program` as JSON, and how wide its groups are.

    A width counts the units of its group: single channels, or what must stay whole, such as the channels of a head.
    """

    title = "Your generator"
    law = staticmethod(traced_law)
    whole: ClassVar[bool] = True

    kind: Literal["traced"] = "traced"
    program: str

    @property
    def _program(self) -> Program:
        return read_program(self.program)

    @property
    def plan(self) -> tuple[Group, ...]:
        return tuple(Group(name, 1, number) for number, (name, *_) in enumerate(self._program.groups))

    @property
    def spaces(self) -> dict[str, tuple[tuple[int, ...], ...]]:  # type: ignore[override]
        """'quarter': every group in steps of 8 channels, or of a divisor where it is small, down to a quarter of
        what was traced. 'half': every group as wide as it is here, three quarters and half of that."""
        half = tuple((width, -(-3 * width // 4), -(-width // 2)) for width in self.widths)
        return {"quarter": self._program.options, "half": half}

    @property
    def stride(self) -> int:  # type: ignore[override]
        return self._program.stride

    @property
    def smallest_side(self) -> int:  # type: ignore[override]
        return self._program.smallest_side

    @property
    def taps(self) -> tuple[str, ...]:
        return tuple(self._program.taps)

    def tap_channels(self, tap: str) -> int:
        if tap not in self._program.taps:
            raise SpecError(f"no tap '{tap}' in this generator; it has {', '.join(self.taps) or 'none'}")
        return at(self._program.taps[tap][1], self.widths)

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width, where forward fixes them."""
        return self._program.fixed_size

    def check_size(self, *sides: int) -> None:
        fixed = self.fixed_size
        if fixed and (sides * 2)[:2] != fixed:
            words = " x ".join(map(str, fixed))
            raise SpecError(
                f"this generator was traced at {words} pixels, a size that its forward fixes, not "
                f"{' x '.join(map(str, sides))}; use --size {words.replace(' ', '')}, or take sizes from x.shape"
            )
        if not fixed:
            super().check_size(*sides)

    @classmethod
    def of_program(cls, text: str) -> TracedSpec:
        """At its widest: the generator as it was traced."""
        program = read_program(text)
        widths = tuple(widest for _, widest, _ in program.groups)
        return cls(program=text, widths=widths, in_channels=program.in_channels, out_channels=program.out_channels)

    def build(self) -> TracedGenerator:
        return TracedGenerator(self)


class TracedGenerator(Generator):
    """Images (batch, in, H, W) -> images (batch, out, rows, columns), as the traced module makes them.

    Its tensors have the names that they have in the module. Batch norms and dropout follow `train()` and `eval()`;
    all else is as in the module's evaluation mode.
    """

    spec: TracedSpec

    def __init__(self, spec: TracedSpec) -> None:
        super().__init__()
        self.spec, self.program = spec, spec._program
        homes: dict[str, nn.Module] = {"": self}
        for path, (kind, attributes) in self.program.modules.items():
            _add(homes, path, _holder(kind, attributes))
        # no tensor may be missing a home: what has no module of its own kind is held by plain ones
        places = {name: self._place(homes, name, entry) for name, entry in self.program.tensors.items()}
        segments: dict[tuple[str, int], tuple[int, ...]] = {}
        for name, entry in self.program.tensors.items():
            for axis, parts in enumerate(entry.axes):
                if len(parts) > 1:
                    segments[name, axis] = tuple(at(part, spec.widths) for part in parts)
        self.segments: Any = segments
        #: where each tensor is: a module and a name in it, through which others may put another tensor in its place
        self.places = places
        self._taps = {place: name for name, (place, _) in self.program.taps.items()}

    def forward(self, x: Float[Tensor, "batch in height width"], tap: Tap = ignore) -> Tensor:
        values: list[Any] = [x]
        steps = _steps(self.spec.program)
        for place, (step, forgotten) in enumerate(zip(steps, self.program.forgotten, strict=True), 1):
            value = step(self, values)
            if place in self._taps:
                value = tap(self._taps[place], value)
            values.append(value)
            for old in forgotten:
                values[old] = None
        return values[self.program.output]

    @torch.no_grad()
    def _place(self, homes: dict[str, nn.Module], name: str, entry: TensorEntry) -> tuple[nn.Module, str]:
        """Make a tensor; returns where it is."""
        path, _, own = name.rpartition(".")
        module = homes.get(path) or _add(homes, path, nn.Module())
        shape = tuple(sum(at(part, self.spec.widths) for part in parts) for parts in entry.axes)
        tensor = torch.empty(shape, dtype=getattr(torch, entry.dtype))
        if entry.parameter:
            mean, std = entry.law
            if not tensor.is_meta:
                tensor.normal_(mean, std) if std else tensor.fill_(mean)
            module.register_parameter(own, nn.Parameter(tensor))
        else:
            module.register_buffer(own, tensor)
            if not tensor.is_meta:
                tensor.copy_(self._cut(entry))
        return module, own

    def _cut(self, entry: TensorEntry) -> Tensor:
        """What a buffer held when it was traced: of each part of an axis, the leading entries."""
        value, widest = entry.value(), tuple(n for _, n, _ in self.program.groups)
        for axis, parts in enumerate(entry.axes):
            pieces = value.split([at(part, widest) for part in parts], axis)
            kept = (p.narrow(axis, 0, at(part, self.spec.widths)) for p, part in zip(pieces, parts, strict=True))
            value = torch.cat(list(kept), axis)
        return value


def _add(homes: dict[str, nn.Module], path: str, module: nn.Module) -> nn.Module:
    """At its path; the modules above it are made where they are missing."""
    above, _, name = path.rpartition(".")
    parent = homes[above] if above in homes else _add(homes, above, nn.Module())
    parent.add_module(name, module)
    homes[path] = module
    return module


def _holder(kind: str, attributes: Mapping[str, Any]) -> nn.Module:
    """A module of a kept class without its tensors, or a plain one."""
    if kind not in _KEPT:
        return nn.Module()
    module = _KEPT[kind].__new__(_KEPT[kind])
    nn.Module.__init__(module)
    for name, value in attributes.items():
        setattr(module, name, tuple(value) if isinstance(value, list) else value)
    # what a kept class may lack is asked for all the same
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        module.register_parameter(name, None) if name in ("weight", "bias") else module.register_buffer(name, None)
    return module


Read = Callable[[TracedGenerator, list[Any]], Any]


@lru_cache(maxsize=64)
def _steps(text: str) -> tuple[Read, ...]:
    """The operations of a program as functions of the network and of the values before them."""
    return tuple(map(_step, read_program(text).nodes))


def _step(node: Node) -> Read:
    if node.op == "module":
        path, source = node.args[0], node.args[1]["value"]
        return lambda network, values: network.get_submodule(path)(values[source])
    function = operation(node.op)
    args = [_reader(arg) for arg in node.args]
    named = {name: _reader(arg) for name, arg in node.kwargs.items()}

    def run(network: TracedGenerator, values: list[Any]) -> Any:
        return function(
            *(arg(network, values) for arg in args), **{name: arg(network, values) for name, arg in named.items()}
        )

    return run


def _reader(arg: Any) -> Read:
    """How an argument is read, at each call: from the values, the tensors or the widths."""
    if isinstance(arg, list):
        parts = [_reader(part) for part in arg]
        return lambda network, values: [part(network, values) for part in parts]
    if not isinstance(arg, dict):
        return lambda network, values: arg
    (what, content), *_ = arg.items()
    if what == "value":
        return lambda network, values: values[content]
    if what == "tensor":
        return lambda network, values: getattr(*network.places[content])
    if what == "size":
        return lambda network, values: at(content, network.spec.widths)
    if what == "times":
        source, size = _reader(content[0]), content[1]
        return lambda network, values: source(network, values) * at(size, network.spec.widths)
    if what == "training":
        return lambda network, values: network.training
    if what == "device":
        return lambda network, values: next(network.parameters()).device
    if what == "dtype":
        dtype = getattr(torch, content)
        return lambda network, values: dtype
    raise SpecError(f"an argument of kind '{what}' is in this program; trace the generator again")


def _instance_norm(x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, use: bool, momentum: float, eps: float,
                   *_: Any) -> Tensor:  # fmt: skip
    return F.instance_norm(x, mean, var, weight, bias, use, momentum, eps)


#: those whose function in `torch` others watch (costs are counted there), or that have no other
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "aten.conv1d": torch.conv1d,
    "aten.conv2d": torch.conv2d,
    "aten.conv_transpose2d": torch.conv_transpose2d,
    "aten.linear": F.linear,
    "aten.matmul": torch.matmul,
    "aten.bmm": torch.bmm,
    "aten.mm": torch.mm,
    "aten.addmm": torch.addmm,
    "aten.baddbmm": torch.baddbmm,
    "aten.einsum": torch.einsum,
    "aten.scaled_dot_product_attention": F.scaled_dot_product_attention,
    "aten.instance_norm": _instance_norm,
    "aten.dropout": F.dropout,
    "operator.sym_size": lambda x, axis: x.shape[axis],
    "operator.sym_float": float,
    "operator.sym_int": int,
}


@lru_cache(maxsize=1024)
def operation(name: str) -> Callable[..., Any]:
    """The operation of that name: one of ATen's, or of whole numbers. Raises `SpecError` for anything else."""
    family, _, rest = name.partition(".")
    base = ".".join((family, rest.partition(".")[0]))
    if base in _FUNCTIONS:
        return _FUNCTIONS[base]
    if family == "operator" and rest in _ARITHMETIC:
        return getattr(operator, rest)  # type: ignore[no-any-return]
    packet, _, overload = rest.partition(".")
    found = getattr(torch.ops.aten, packet, None) if family == "aten" and "file" not in packet else None
    if found is None or (overload and overload not in found.overloads()):
        raise SpecError(f"there is no operation '{name}' in this version of PyTorch; trace the generator again")
    return getattr(found, overload) if overload else found  # type: ignore[no-any-return]
