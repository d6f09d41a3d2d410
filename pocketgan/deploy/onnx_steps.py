"""The operations of an ONNX file, each in the form that works on parts of a picture; ONNX Runtime carries them out.

What the file computes of sizes is folded for one size, by the runtime itself. Instance norms become batch norms,
which take statistics as inputs. Each convolution, and each run of operations pixel by pixel, is a graph of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketgan.deploy.onnx_pieces import Folded, Piece
from pocketgan.deploy.regional import Padding, PixelShuffle, Pointwise, Regional, Resampling, Transposed, Window
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import Step, Steps, refused
from pocketgan.units import Size

#: pixel by pixel, whatever the shape
_POINTWISE = {
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Softplus"),
    *("Softsign", "Tanh", "Sigmoid", "Clip", "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Exp", "Log", "Sqrt", "Pow"),
    *("Reciprocal", "Sin", "Cos", "Erf", "Min", "Max", "Sum", "Mean", "Where", "Cast", "Identity", "Dropout"),
}
#: so, too, with weights that have an entry for each channel
_ROUNDING = {"QuantizeLinear", "DequantizeLinear"}
_BY_CHANNEL = {"BatchNormalization", *_ROUNDING}
#: so, too, where they go along the channels
_OF_CHANNELS = {"Concat", "Split", "Softmax"}


def steps_of_file(path: Path, size: Size, threads: int) -> Steps:
    """The values of a file's network on one image of that size, as `steps_of` gives them of a module's.

    Raises `Untileable` for one that looks at the whole picture, and for one that takes more than an image.
    """
    from onnx import helper

    file = Folded(path, size, threads)
    (image, *more), (picture,) = file.inputs, file.outputs
    if more:
        raise refused(f"input {more[0]}")
    places = {image: 0}
    steps = [Step((), size, file.shapes[image][1], Pointwise(lambda: None))]
    pieces: dict[int, Piece] = {}  # those to which operations pixel by pixel may be added

    def add(names: list[str], of: str, regional: Regional, norm: Any = None, piece: Piece | None = None) -> int:
        _, channels, *sides = file.shapes[of]
        inputs = tuple(places[each] for each in names)
        steps.append(Step(inputs, (sides[0], sides[1]), channels, regional, norm, piece))
        return len(steps) - 1

    for node in file.nodes:
        given = [each for each in node.input if each and each not in file.constants]
        if not given:
            made = Piece(file, [node], [], list(node.output)).arrays()
            file.constants.update(zip(node.output, made, strict=True))
            continue
        outputs = [each for each in node.output if each]
        sources = list(dict.fromkeys(given))
        if any(len(file.shapes[each]) != 4 for each in (*outputs, *sources)):
            raise refused(node.op_type)
        out = outputs[0]
        alone = sources[0] if len(sources) == 1 else ""
        place = places.get(alone, 0) if file.uses[alone] == 1 else 0
        if place in pieces and steps[place].norm and _mixing(file, node):
            pieces[place].append(node)
            steps[place] = replace(steps[place], channels=file.shapes[out][1])
            places[out] = place
        elif node.op_type in _MAKERS and alone and node.input[0] == alone:
            regional, piece = _MAKERS[node.op_type](file, node)
            if isinstance(regional, Padding):
                piece = _alone(file, helper.make_node("Identity", sources, [out]), sources)
            places[out] = add(sources, out, regional, piece=piece)
            if piece and not isinstance(regional, Padding):
                pieces[places[out]] = piece
        elif node.op_type == "InstanceNormalization" and alone == node.input[0]:
            piece = _norm(file, node)
            places[out] = add(sources, out, Pointwise(lambda x: x), _normed(piece), piece)
            pieces[places[out]] = piece
        elif not _pointwise(file, node, sources):
            raise refused(node.op_type)
        elif len(outputs) == 1 and place in pieces:
            pieces[place].append(node)
            places[out] = place
        else:
            piece = Piece(file, [node], sources, outputs)
            place = add(sources, out, Pointwise(piece), piece=piece if len(outputs) == 1 else None)
            if len(outputs) == 1:
                places[out], pieces[place] = place, piece
            for number, each in enumerate(outputs if len(outputs) > 1 else []):
                places["all"] = place
                places[each] = add(["all"], each, Pointwise(lambda made, number=number: made[number]))
    if places[picture] != len(steps) - 1:
        add([picture], picture, Pointwise(lambda x: x))
    if any(node.op_type in _ROUNDING for node in file.nodes):
        # joined, they would be computed in 8 bits, other ones than in the whole file; one by one, in floats
        steps = [replace(step, piece=None) for step in steps]
    names = {place: name for name, place in places.items()}  # the last of each: operations may have been added
    run = cache(file.values)

    def at_once(image: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        last = len(steps) - 1
        return run(tuple(picture if place == last else names[place] for place in wanted))(image)

    return Steps(steps, at_once)


def _mixing(file: Folded, node: Any) -> bool:
    """Whether it is a convolution of single pixels whose values a norm measures: they are kept in any case."""
    if node.op_type != "Conv" or node.input[1] not in file.constants:
        return False
    given, users = _attributes(node), [each.op_type for each in file.nodes if node.output[0] in each.input]
    return (
        file.constants[node.input[1]].shape[2:] == (1, 1)
        and not any(given.get("pads", []))
        and set(given.get("strides", [1])) == {1}
        and set(users) == {"InstanceNormalization"}
    )


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _pair(values: Any) -> Size:
    return int(values[0]), int(values[1])


def _alone(file: Folded, node: Any, inputs: list[str], **changes: Any) -> Piece:
    """One operation with other attributes and these inputs, the first from outside."""
    from onnx import helper

    attributes = {**_attributes(node), **changes}
    own = helper.make_node(node.op_type, inputs, [node.output[0]], domain=node.domain, **attributes)
    return Piece(file, [own], inputs[:1], [node.output[0]])


Made = tuple[Regional, Piece | None]


def _window(file: Folded, node: Any) -> Made:
    given = _attributes(node)
    kernel = file.constant(node, 1).shape[2:] if node.op_type == "Conv" else given["kernel_shape"]
    pads = given.get("pads", [0, 0, 0, 0])
    average = node.op_type == "AveragePool"
    if (
        given.get("auto_pad", b"NOTSET") != b"NOTSET"
        or given.get("ceil_mode", 0)
        or len(node.output) > 1
        or (average and any(pads) and not given.get("count_include_pad", 0))  # windows of fewer pixels
    ):
        raise refused(node.op_type)
    piece = _alone(file, node, list(node.input), pads=[0, 0, 0, 0])
    strides, dilations = (_pair(given.get(name, [1, 1])) for name in ("strides", "dilations"))
    beyond = -np.inf if node.op_type == "MaxPool" else 0.0
    return Window(piece, _pair(kernel), strides, _pair(pads), dilations, beyond), piece


def _transposed(file: Folded, node: Any) -> Made:
    given = _attributes(node)
    if given.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in given:
        raise refused(node.op_type)
    kernel, bias = file.constant(node, 1).shape[2:], file.constant(node, 2)
    piece = _alone(file, node, list(node.input[:2]), pads=[0, 0, 0, 0], output_padding=[0, 0])
    strides, dilations = (_pair(given.get(name, [1, 1])) for name in ("strides", "dilations"))
    own = None if bias is None else torch.from_numpy(bias.copy())
    return Transposed(piece, own, _pair(kernel), strides, _pair(given.get("pads", [0, 0])), dilations), None


def _pad(file: Folded, node: Any) -> Made:
    mode = _attributes(node).get("mode", b"constant").decode()
    pads, value, axes = file.constant(node, 1), file.constant(node, 2), file.constant(node, 3, np.arange(4))
    before = dict(zip((axes % 4).tolist(), pads[: len(axes)].tolist(), strict=True))
    after = dict(zip((axes % 4).tolist(), pads[len(axes) :].tolist(), strict=True))
    if any(own.get(axis) for own in (before, after) for axis in (0, 1)) or mode == "wrap":
        raise refused(node.op_type)
    if mode != "constant" and pads.min() < 0:
        raise refused(node.op_type)
    name: Any = {"edge": "replicate"}.get(mode, mode)
    return Padding(name, (before.get(2, 0), before.get(3, 0)), 0.0 if value is None else float(value)), None


def _slice(file: Folded, node: Any) -> Made:
    """A part of the rows and columns: a padding by less than nothing. Of the channels: pixel by pixel."""
    starts, axes = file.constant(node, 1), file.constant(node, 3)
    steps = file.constant(node, 4, np.ones(len(starts), np.int64))
    axes = np.arange(len(starts)) if axes is None else axes % 4
    if (steps != 1).any() or 0 in axes:
        raise refused(node.op_type)
    if set(axes.tolist()) == {1}:
        piece = _alone(file, node, list(node.input))
        return Pointwise(piece), piece
    if 1 in axes:
        raise refused(node.op_type)
    there = file.shapes[node.input[0]]
    first = {
        axis: start % there[axis] if start < 0 else start
        for axis, start in zip(axes.tolist(), starts.tolist(), strict=True)
    }
    return Padding("constant", (-first.get(2, 0), -first.get(3, 0))), None


def _resize(file: Folded, node: Any) -> Made:
    """Where each pixel comes from tells the operation itself, on an image that holds the places."""
    given = _attributes(node)
    if given.get("mode", b"nearest") not in (b"nearest", b"linear") or given.get("antialias") or "axes" in given:
        raise refused(node.op_type)
    if given.get("coordinate_transformation_mode") == b"tf_crop_and_resize":
        raise refused(node.op_type)
    scales, sizes = file.constant(node, 2), file.constant(node, 3)
    places = []
    for axis in (2, 3):
        ramp = np.arange(file.shapes[node.input[0]][axis], dtype=np.float32).reshape(1, 1, -1, 1)
        name = f"{node.output[0]}:sides_{axis}"
        if scales is not None and scales.size:
            file.constants[name] = np.array([1, 1, scales[axis], 1], np.float32)
            inputs = ["ramp", "", name]
        else:
            file.constants[name] = np.array([1, 1, sizes[axis], 1], np.int64)
            inputs = ["ramp", "", "", name]
        (made,) = _alone(file, node, inputs).arrays(ramp)
        places.append(torch.from_numpy(made[0, 0, :, 0]).double())
    return Resampling((places[0], places[1])), None


def _shuffle(file: Folded, node: Any) -> Made:
    given = _attributes(node)
    if given.get("mode", b"DCR") != b"CRD":
        raise refused(node.op_type)
    return PixelShuffle(given["blocksize"]), None


_MAKERS: dict[str, Callable[[Folded, Any], Made]] = {
    "Conv": _window,
    "MaxPool": _window,
    "AveragePool": _window,
    "ConvTranspose": _transposed,
    "Pad": _pad,
    "Slice": _slice,
    "Resize": _resize,
    "DepthToSpace": _shuffle,
}


def _norm(file: Folded, node: Any) -> Piece:
    from onnx import helper

    x, scale, bias = node.input
    mean, variance = (f"{node.output[0]}:{name}" for name in ("mean", "variance"))
    epsilon = _attributes(node).get("epsilon", 1e-5)
    own = helper.make_node("BatchNormalization", [x, scale, bias, mean, variance], node.output, epsilon=epsilon)
    return Piece(file, [own], [x, mean, variance], list(node.output))


def _normed(piece: Piece) -> Callable[[Tensor, Statistics], Tensor]:
    known: tuple[Any, ...] = (None,)

    def norm(x: Tensor, of_image: Statistics) -> Tensor:
        nonlocal known
        if known[0] is not of_image:  # the same ones serve many parts
            known = of_image, of_image.mean.float(), of_image.variance.float()
        made: Tensor = piece(x, *known[1:])
        return made

    return norm


def _pointwise(file: Folded, node: Any, sources: list[str]) -> bool:
    sides = file.shapes[node.output[0]][2:]
    if any(file.shapes[each][2:] not in (sides, [1, 1]) for each in sources):
        return False
    constants = [file.constants[each] for each in node.input if each in file.constants]
    if node.op_type in _POINTWISE:
        return all(each.size == 1 or (each.ndim > 2 and each.shape[-2:] == (1, 1)) for each in constants)
    axis = _attributes(node).get("axis", {"Split": 0, "Softmax": -1}.get(node.op_type, 1))
    if node.op_type in _OF_CHANNELS:
        return axis in (1, -3) and not (node.op_type == "Concat" and constants)
    return node.op_type in _BY_CHANNEL and node.input[0] in sources and axis in (1, -3)
