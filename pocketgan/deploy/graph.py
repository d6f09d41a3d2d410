"""ONNX files: whose weights an operation takes, and changes that keep what a file computes: sides of any length,
weights of half the size, nothing that is not needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

#: weights of fewer numbers stay as they are: they cost nothing
_SMALL = 64
#: what disappears into a convolution before it
_FUSED = ("Relu", "LeakyRelu", "Tanh", "Sigmoid", "Clip", "Cast")


def layer_names(model: Any) -> dict[str, str]:
    """The layer whose weights an operation takes, by the operation's name and by those of what it gives and of what
    an activation makes of that: fusing keeps one of them."""
    graph = model.graph
    holds = {each.name: each.name for each in graph.initializer}
    names = {}
    for node in graph.node:
        weights = [holds[each] for each in node.input if each in holds]
        if node.op_type in ("Cast", "DequantizeLinear") and weights:  # weights of 16 or 8 bits
            holds[node.output[0]] = weights[0]
        found = (re.match(r"(.+)\.weight", each) for each in weights)
        if layer := next(filter(None, found), None):
            names[node.name] = names[node.output[0]] = layer[1]
        elif node.op_type in _FUSED and node.input[0] in names:
            names[node.output[0]] = names[node.input[0]]
    return names


def of_any_size(path: Path, multiple: int) -> None:
    """Let a file whose sides are open as multiples of `multiple` take any side, at least half of it: the image is
    padded at the right and below, by reflection, and the picture cut back."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    image, picture = graph.input[0], graph.output[0]

    def constant(name: str, values: list[int]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs, [output], name=output, **attributes)

    _rename(graph, image.name, "image_padded")
    _rename(graph, picture.name, "picture_padded")
    step = constant("multiple_of_sides", [multiple])
    before = [
        node("Shape", [image.name], "sides", start=2),
        node("Neg", ["sides"], "sides_negative"),
        node("Mod", ["sides_negative", step], "sides_missing"),  # of the divisor's sign: never negative
        node("Concat", [constant("no_padding", [0] * 6), "sides_missing"], "sides_added", axis=0),
        node("Pad", [image.name, "sides_added"], "image_padded", mode="reflect"),
    ]
    after = [
        node(
            "Slice",
            ["picture_padded", constant("origin", [0, 0]), "sides", constant("side_axes", [2, 3])],
            picture.name,
        )
    ]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    names = ("rows", "columns")
    for value in (image, picture):
        for name, length in zip(names, value.type.tensor_type.shape.dim[2:], strict=True):
            length.Clear()
            length.dim_param = name
    del graph.value_info[:]  # they speak of multiples
    onnx.save(model, path)


def with_half_weights(path: Path) -> None:
    """Store the weights of a file in 16 bits; runtimes make 32 of them as they load it, and compute with those."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph, casts = model.graph, []
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and (values := numpy_helper.to_array(weight)).size >= _SMALL:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], name=name, to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def compact(model: Any) -> None:
    """Leave out of a file what its runtime does not need: shapes between operations, attributes at their defaults,
    zero points that are zero, equal numbers twice, long names (but those of weights, which tell the layers)."""
    graph = model.graph
    del graph.value_info[:]
    arrays = {each.name: each for each in graph.initializer}
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same = {}
    for each in graph.initializer:
        if each.raw_data and not each.name.endswith((".weight", ".weight_quantized")):
            same[each.name] = first.setdefault((each.data_type, tuple(each.dims), each.raw_data), each.name)
    kept = {value.name for value in (*graph.input, *graph.output)} | {""}
    # "stem.conv.weight_quantized" gets its name back
    weights = {name: own[1] for name in arrays if (own := re.fullmatch(r"(.+\.weight)(_quantized)?", name))}
    short: dict[str, str] = dict(weights)

    def name_of(value: str) -> str:
        value = same.get(value, value)
        return value if value in kept else short.setdefault(value, f"{len(short):x}")

    for number, node in enumerate(graph.node):
        if node.op_type == "DequantizeLinear" and len(node.input) == 3:
            zero = arrays.get(node.input[2])
            if zero is not None and zero.data_type == INT8 and not any(zero.raw_data):
                del node.input[2]
        for attribute in [*node.attribute]:
            if attribute.SerializeToString() in _defaults(node):
                node.attribute.remove(attribute)
        node.name = f"n{number:x}"
        for values in (node.input, node.output):
            for place, value in enumerate(values):
                values[place] = name_of(value)
    used = {value for node in graph.node for value in node.input}
    held = []
    for each in graph.initializer:
        each.name, doubled = name_of(each.name), same.get(each.name, each.name) != each.name
        if each.name in used and not doubled:
            held.append(each)
    del graph.initializer[:]
    graph.initializer.extend(held)


#: of the element types of ONNX
INT8 = 3


def _defaults(node: Any) -> set[bytes]:
    """Attributes of convolutions and norms that say what holds without them."""
    from onnx import helper

    values: dict[str, Any] = {}
    if node.op_type in ("Conv", "ConvTranspose"):
        values = {"auto_pad": "NOTSET", "dilations": [1, 1], "group": 1, "strides": [1, 1], "pads": [0] * 4}
        values["output_padding"] = [0, 0]
    elif node.op_type == "InstanceNormalization":
        values = {"epsilon": 1e-5}
    return {helper.make_attribute(name, value).SerializeToString() for name, value in values.items()}


def _rename(graph: Any, old: str, new: str) -> None:
    """Another name for a value, within the nodes."""
    for node in graph.node:
        for values in (node.input, node.output):
            for place, name in enumerate(values):
                if name == old:
                    values[place] = new
