"""A module's forward as a graph of operations, by torch.export."""

from __future__ import annotations

import copy
import io
import logging
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.export.graph_signature import InputKind
from torch.fx import Graph, GraphModule

from pocketgan.errors import SpecError
from pocketgan.tracing.failures import why_untraceable

#: what the exporter adds to make sure that a graph is run as it was traced
_CHECKS = ("_assert", "sym_constrain", "_check")
#: what PyTorch's exporters call parts of their own, and so no part of a network may be called
_TAKEN = frozenset(dir(GraphModule)) - frozenset(dir(nn.Module))


@dataclass(frozen=True)
class Traced:
    """A graph, and what its placeholders stand for.

    Attributes:
        module: a copy of the user's, in evaluation mode on the CPU, parametrisations folded into plain weights.
        tensors: by the names that they have in the module (see `free_name`), each once.
        names: the tensor of each placeholder.
        open_batch, open_sides: whether the graph leaves the batch, or height and width, open.
    """

    module: nn.Module
    graph: Graph
    tensors: dict[str, Tensor]
    names: dict[str, str]
    image: str
    open_batch: bool
    open_sides: bool


def graph_of(module: nn.Module, example: Tensor, *, open_sides: bool = True) -> Traced:
    """Trace it; with open sides where it allows that.

    Raises `SpecError` where that cannot be done, in a line that says where.
    """
    own = plain_copy(module)
    image = example.detach().float().cpu()
    image = image if len(image) > 1 else torch.cat([image, image.flip(-1)])
    attempts: tuple[dict[int, Any], ...] = ({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}, {0: Dim.AUTO}, {})
    failure: Exception | None = None
    for dims in attempts[0 if open_sides else 1 :]:
        try:
            with _quiet():
                shown = image if dims else image[:1]
                # the names of inputs differ from module to module
                program = torch.export.export(own, (shown,), dynamic_shapes=(dims or None,), strict=False)
            break
        except Exception as error:  # whatever the user's forward does, and all that the exporter cannot follow
            failure = failure or error
    else:
        assert failure is not None
        raise why_untraceable(own, failure) from failure

    for node in list(program.graph.nodes):
        if str(node.target).removeprefix("aten.").startswith(_CHECKS) and not node.users:
            program.graph.erase_node(node)
    _without_glu(program.graph)
    program.graph.eliminate_dead_code()
    tensors: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    first: dict[int, str] = {}
    held = {**dict(own.named_parameters(remove_duplicate=False)), **dict(own.named_buffers(remove_duplicate=False))}
    place = ""
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            place = spec.arg.name
            continue
        name = str(spec.target)
        tensor = held.get(name)
        if tensor is None:
            tensor, name = program.constants[name], f"constants.{name.replace('.', '_')}"
        name = first.setdefault(id(tensor), free_name(name))
        tensors[name], names[spec.arg.name] = tensor, name
    (user,) = (node for node in program.graph.nodes if node.op == "placeholder" and node.name == place)
    open_axes = [not isinstance(size, int) for size in user.meta["val"].shape]
    return Traced(own, program.graph, tensors, names, place, open_axes[0], open_axes[2] and open_axes[3])


def _without_glu(graph: Graph) -> None:
    """A gated linear unit as what it is made of: one half, times the sigmoid of the other."""
    for node in list(graph.nodes):
        if node.target is not torch.ops.aten.glu.default:
            continue
        x, axis = node.args[0], node.args[1] if len(node.args) > 1 else -1
        with graph.inserting_before(node):
            halves = graph.call_function(torch.ops.aten.chunk.default, (x, 2, axis))
            value, gate = (graph.call_function(operator.getitem, (halves, i)) for i in range(2))
            open_ = graph.call_function(torch.ops.aten.sigmoid.default, (gate,))
            made = graph.call_function(torch.ops.aten.mul.Tensor, (value, open_))
        for each in (value, gate, open_, made):
            each.meta = dict(node.meta)
        node.replace_all_uses_with(made)
        graph.erase_node(node)


def free_name(name: str) -> str:
    """The name of a tensor of a module in what is exported: `code` and `graph` become `code_` and `graph_`."""
    top, dot, rest = name.partition(".")
    return f"{top}_{dot}{rest}" if top in _TAKEN else name


def plain_copy(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode on the CPU, with spectral and weight norms folded into plain weights: they help
    training alone."""
    try:
        own = copy.deepcopy(module).cpu().float().eval()
    except Exception as error:
        raise SpecError(
            f"a generator must be a module that can be copied, and {type(module).__name__} is none "
            f"({_first_line(error)}); keep no open files, hooks or results of forward in it"
        ) from error
    for part in own.modules():
        if nn.utils.parametrize.is_parametrized(part):
            # the class was made for the user's module, which shares it with the copy and goes on using it
            kind: type[nn.Module] = type(part)
            body = {n: v for n, v in vars(kind).items() if n not in ("__dict__", "__weakref__")}
            part.__class__ = type(kind.__name__, kind.__bases__, body)
            for name in list(part.parametrizations):  # type: ignore[union-attr, arg-type]
                nn.utils.parametrize.remove_parametrizations(part, name)
        hook: Any
        for hook in list(part._forward_pre_hooks.values()):
            if type(hook).__name__ == "SpectralNorm":
                nn.utils.remove_spectral_norm(part, hook.name)
            elif type(hook).__name__ == "WeightNorm":
                nn.utils.remove_weight_norm(part, hook.name)
    return own


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's reports on attempts that fail as foreseen."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        # it prints the graph that it has so far
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
