"""The operations of a network, by `torch.export`, each in the form that works on parts of a picture."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pocketgan.deploy.onnx import quiet
from pocketgan.deploy.regional import (
    Joinable,
    Padding,
    PixelShuffle,
    Pointwise,
    Regional,
    Resampling,
    Transposed,
    Window,
)
from pocketgan.deploy.statistics import NORMS, Statistics
from pocketgan.errors import SpecError
from pocketgan.networks import Generator
from pocketgan.units import Size


class Untileable(SpecError):
    """A network that looks at the whole picture in other ways than by its norms."""


@dataclass(frozen=True)
class Step:
    """One value of a network: what it is made of and how, and how large the whole of it is.

    `norm`: makes it from its input and the statistics of that, where it is a norm with statistics of the image.
    `piece`: its operations without what they do at the edges of a picture, where they can be joined with others.
    """

    inputs: tuple[int, ...]
    size: Size
    channels: int
    regional: Regional
    norm: Callable[[Tensor, Statistics], Tensor] | None = None
    piece: Joinable | None = None


class Steps(NamedTuple):
    """The values of a network on one image of one size: the first is the image, the last the picture.

    `at_once`: makes some of them, by number, from a whole image, where that is quicker than one by one.
    """

    values: list[Step]
    at_once: Callable[[Tensor, Sequence[int]], list[Tensor]] | None = None


def steps_of(network: nn.Module, size: Size, channels: int = 3) -> Steps:
    """The values of a network in evaluation mode on one image of that size, on its device.

    Raises `Untileable`, with the operation, for a network that looks at the whole picture.
    """
    channels = network.spec.in_channels if isinstance(network, Generator) else channels
    image = (
        next(network.parameters()).new_zeros(1, channels, 1, 1).expand(1, channels, *size)
    )  # nothing is computed with it
    with quiet():
        program = torch.export.export(network, (image,), strict=False)
        if any(_name(node).endswith("_") for node in program.graph.nodes):
            program = program.run_decompositions({})  # what works in place does so no more
    graph = program.graph
    for node in list(graph.nodes):
        if "assert" in str(node.target) and not node.users:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    held = {**program.state_dict, **program.constants}
    tensors = {each.arg.name: held.get(each.target) for each in program.graph_signature.input_specs}

    steps: list[Step] = []
    places: dict[fx.Node, int] = {}
    constants: dict[fx.Node, Any] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            if (tensor := tensors[node.name]) is not None:
                constants[node] = tensor.detach()
            else:
                places[node] = len(steps)
                steps.append(Step((), size, channels, Pointwise(lambda: None)))
        elif node.op == "call_function" and not any(each in places for each in node.all_input_nodes):
            constants[node] = node.target(*fx.map_arg(node.args, constants.get), **node.kwargs)
        elif node.op == "call_function":
            steps.append(_step(node, places, constants, steps))
            places[node] = len(steps) - 1
    (made,) = graph.output_node().args[0]
    if places[made] != len(steps) - 1:
        steps.append(Step((places[made],), size, 3, Pointwise(lambda x: x)))
    return Steps(steps)


def _name(node: fx.Node) -> str:
    """'conv2d' of aten.conv2d.default."""
    if node.target is operator.getitem:
        return "getitem"
    return str(node.target).split(".")[1] if str(node.target).startswith("aten.") else str(node.target)


def refused(name: str) -> Untileable:
    """The error of an operation that does not work on parts."""
    return Untileable(
        f"a picture is made in parts where every operation looks at a part of it, and this network's {name} does "
        "not; run it whole (translate: --tile off)"
    )


def _step(
    node: fx.Node, places: Mapping[fx.Node, int], constants: Mapping[fx.Node, Any], steps: list[Step]
) -> Step:
    value = node.meta["val"]
    shape = (value[0] if isinstance(value, (tuple, list)) else value).shape
    sources = [each for each in node.all_input_nodes if each in places]
    if len(shape) != 4 or shape[0] != 1:
        raise refused(_name(node))
    size, inputs = (int(shape[2]), int(shape[3])), tuple(places[each] for each in sources)
    given = _arguments(node, constants)
    name = _name(node)
    there = steps[inputs[0]].size
    norm = None
    if name in NORMS and given.get("use_input_stats", True):
        norm = NORMS[name](given)
        regional: Regional | None = Pointwise(lambda x: x)
    elif name in _REGIONAL:
        regional = _REGIONAL[name](given, there, size)
    else:
        regional = _pointwise(node, name, given, sources, [steps[each].size for each in inputs], size, constants)
    if regional is None or (name in _REGIONAL and len(sources) > 1):
        raise refused(_name(node))
    return Step(inputs, size, int(shape[1]), regional, norm)


def _arguments(node: fx.Node, constants: Mapping[fx.Node, Any]) -> dict[str, Any]:
    """The arguments by name, weights as tensors, defaults where nothing is given."""
    if node.target is operator.getitem:
        return {}
    given = {}
    for place, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        if place < len(node.args):
            value: Any = node.args[place]
        else:
            value = node.kwargs.get(argument.name, argument.default_value)
        given[argument.name] = fx.map_arg(value, lambda each: constants.get(each, each))
    return given


def _pair(value: Any) -> Size:
    """A number, or a list of one or two, for rows and columns."""
    numbers = [value] if isinstance(value, int) else list(value)
    return int(numbers[0]), int(numbers[-1])


def _conv(given: Mapping[str, Any], there: Size, size: Size) -> Regional | None:
    weight, bias, stride, dilation = (
        given["weight"],
        given["bias"],
        _pair(given["stride"]),
        _pair(given["dilation"]),
    )
    groups, kernel = given["groups"], (weight.shape[2], weight.shape[3])
    if given["padding"] == "valid":
        pad = (0, 0)
    elif given["padding"] == "same":
        pad = (dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2)
    else:
        pad = _pair(given["padding"])
    return Window(
        lambda x: torch.conv2d(x, weight, bias, stride, 0, dilation, groups), kernel, stride, pad, dilation
    )


def _transposed(given: Mapping[str, Any], there: Size, size: Size) -> Regional | None:
    weight, stride, dilation = given["weight"], _pair(given["stride"]), _pair(given["dilation"])
    groups, kernel, pad = given["groups"], (weight.shape[2], weight.shape[3]), _pair(given["padding"])
    run = lambda x: torch.conv_transpose2d(x, weight, None, stride, 0, 0, groups, dilation)  # noqa: E731
    return Transposed(run, given["bias"], kernel, stride, pad, dilation)


def _max_pool(given: Mapping[str, Any], there: Size, size: Size) -> Regional | None:
    kernel, dilation = _pair(given["kernel_size"]), _pair(given["dilation"])
    stride = _pair(given["stride"] or kernel)
    return Window(
        lambda x: F.max_pool2d(x, kernel, stride, 0, dilation),
        *(kernel, stride, _pair(given["padding"]), dilation, -torch.inf),
    )


def _avg_pool(given: Mapping[str, Any], there: Size, size: Size) -> Regional | None:
    kernel, pad, divisor = _pair(given["kernel_size"]), _pair(given["padding"]), given["divisor_override"]
    stride = _pair(given["stride"] or kernel)
    if given["ceil_mode"] or (any(pad) and not given["count_include_pad"]):
        return None  # windows at the edge are of fewer pixels
    return Window(lambda x: F.avg_pool2d(x, kernel, stride, divisor_override=divisor), kernel, stride, pad)


def _padding(given: Mapping[str, Any], there: Size, size: Size) -> Regional | None:
    pad = given["pad"] if "pad" in given else given["padding"]
    mode = given.get("mode", "constant")
    if len(pad) != 4 or mode not in ("reflect", "replicate", "constant"):
        return None
    return Padding(mode, (pad[2], pad[0]), given.get("value") or 0.0)


def _interpolation(given: Mapping[str, Any], there: Size, size: Size) -> Regional | None:
    """Where each pixel comes from tells the operation itself, on an image that holds the places."""
    mode = "bilinear" if "align_corners" in given else "nearest"
    more = {"align_corners": given["align_corners"]} if mode == "bilinear" else {}
    factors = given.get("scale_factors")
    places = []
    for axis in (0, 1):
        ramp = torch.arange(there[axis], dtype=torch.float64).view(1, 1, -1, 1).expand(-1, -1, -1, 2)
        to: dict[str, Any] = {"size": (size[axis], 2)} if not factors else {"scale_factor": (factors[axis], 1.0)}
        places.append(F.interpolate(ramp, mode=mode, **to, **more)[0, 0, :, 0])
    return Resampling((places[0], places[1]))


def _shuffle(given: Mapping[str, Any], there: Size, size: Size) -> Regional | None:
    return PixelShuffle(given["upscale_factor"])


_REGIONAL: dict[str, Callable[[Mapping[str, Any], Size, Size], Regional | None]] = {
    "conv2d": _conv,
    "conv_transpose2d": _transposed,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "pad": _padding,
    "constant_pad_nd": _padding,
    "reflection_pad2d": lambda given, *sizes: _padding({**given, "mode": "reflect"}, *sizes),
    "replication_pad2d": lambda given, *sizes: _padding({**given, "mode": "replicate"}, *sizes),
    "upsample_nearest2d": _interpolation,
    "upsample_bilinear2d": _interpolation,
    "pixel_shuffle": _shuffle,
}


_POINTWISE = {
    *(
        "relu",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "mish",
        "softplus",
        "softsign",
        "tanh",
        "sigmoid",
    ),
    *("hardtanh", "relu6", "hardswish", "hardsigmoid", "clamp", "clamp_min", "clamp_max", "minimum", "maximum"),
    *(
        "add",
        "sub",
        "rsub",
        "mul",
        "div",
        "neg",
        "abs",
        "exp",
        "log",
        "sqrt",
        "rsqrt",
        "pow",
        "square",
        "sin",
        "cos",
    ),
    *("where", "lerp", "addcmul", "to", "_to_copy", "clone", "contiguous", "detach", "alias", "getitem"),
    *("dropout", "feature_dropout"),
}
#: pointwise too, with weights that have an entry for each channel
_BY_CHANNEL = {"batch_norm", "instance_norm", "prelu"}
#: pointwise where they go along the channels
_OF_CHANNELS = {"cat", "chunk", "split", "split_with_sizes", "slice", "narrow", "glu", "softmax"}


def _pointwise(
    node: fx.Node,
    name: str,
    given: Mapping[str, Any],
    sources: list[fx.Node],
    sizes: list[Size],
    size: Size,
    constants: Mapping[fx.Node, Any],
) -> Regional | None:
    if any(each not in (size, (1, 1)) for each in sizes):
        return None
    if name in _OF_CHANNELS:
        if given["dim"] not in (1, -3):
            return None
    elif name in _POINTWISE:
        weights = [each for each in given.values() if isinstance(each, Tensor) and each.numel() > 1]
        if any(each.ndim < 3 or each.shape[-2:] != (1, 1) for each in weights):
            return None
    elif name not in _BY_CHANNEL:
        return None
    function: Any = node.target
    args, named = fx.map_arg((node.args, node.kwargs), lambda each: constants.get(each, each))
    slots = {place: sources.index(arg) for place, arg in enumerate(args) if isinstance(arg, fx.Node)}
    if len(slots) == sum(each in sources for each in _nodes((args, named))):
        template = list(args)

        def run(*inputs: Any) -> Any:
            filled = template.copy()
            for place, number in slots.items():
                filled[place] = inputs[number]
            return function(*filled, **named)

        return Pointwise(run)

    def run_nested(*inputs: Any) -> Any:
        known = dict(zip(sources, inputs, strict=True))
        own, own_named = fx.map_arg((args, named), known.__getitem__)
        return function(*own, **own_named)

    return Pointwise(run_nested)


def _nodes(arguments: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.map_arg(arguments, lambda each: found.append(each) or each)  # type: ignore[func-returns-value]
    return found
