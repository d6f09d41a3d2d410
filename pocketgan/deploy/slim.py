"""Less in an ONNX model that computes the same: with few weights, names and zeros are a third of the file."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

#: attributes of a convolution that say what holds without them too
_USUAL: dict[str, Any] = {"auto_pad": b"NOTSET", "dilations": [1, 1], "group": 1, "strides": [1, 1]}


def without_lost_biases(model: Any) -> None:
    """Remove the biases of convolutions whose output goes to instance norms alone: these take the mean away."""
    graph, users = model.graph, defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node.op_type)
    ends = {each.name for each in graph.output}
    for node in graph.node:
        lost = node.op_type in ("Conv", "ConvTranspose") and len(node.input) == 3
        if lost and node.output[0] not in ends and {*users[node.output[0]]} == {"InstanceNormalization"}:
            del node.input[2]
    _without_unused(graph)


def slimmed(model: Any) -> None:
    """Remove from a quantised model what a runtime finds by itself: shapes of what is between, zero points that are
    0, attributes that hold anyway, numbers that are there twice, and long names; those of weights stay."""
    graph = model.graph
    del graph.value_info[:]
    values = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and len(node.input) == 3 and node.input[0] in values:
            if not any(values[node.input[2]].raw_data):
                del node.input[2]
        elif node.op_type in ("Conv", "ConvTranspose"):
            _without_usual(node, values)
    same: dict[Any, str] = {}
    alike = {
        each.name: same.setdefault((each.data_type, tuple(each.dims), each.raw_data), each.name)
        for each in graph.initializer
        if each.raw_data
    }
    for node in graph.node:
        node.input[:] = [alike.get(name, name) for name in node.input]
    _without_unused(graph)
    _with_short_names(graph)


def _without_usual(node: Any, values: Any) -> None:
    from onnx import helper

    for attribute in [*node.attribute]:
        value = helper.get_attribute_value(attribute)
        pads = attribute.name in ("pads", "output_padding") and not any(value)
        # of quantised weights the shape is further up, where it stays known
        shape = attribute.name == "kernel_shape"
        if pads or shape or (attribute.name in _USUAL and value == _USUAL[attribute.name]):
            node.attribute.remove(attribute)


def _without_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _with_short_names(graph: Any) -> None:
    """Numbers for all names but those of inputs, outputs and weights, by which layers are found again."""
    kept = {each.name for each in (*graph.input, *graph.output)} | {""}
    numbers: dict[str, str] = {}

    def short(name: str) -> str:
        if name in kept or name.endswith((".weight", ".weight_quantized")):
            return name.removesuffix("_quantized")
        return numbers.setdefault(name, f"{len(numbers):x}")

    for each in graph.initializer:
        each.name = short(each.name)
    for node in graph.node:
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.name = ""
