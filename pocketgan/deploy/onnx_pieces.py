"""Parts of an ONNX file that ONNX Runtime carries out by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketgan.deploy.regional import Link
from pocketgan.deploy.steps import refused
from pocketgan.units import Size

#: threads of one operation at most: each has its own, and there are dozens of operations
THREADS = 8


class Folded:
    """A file for one size: its operations in their order, what is constant, and the types of all else."""

    def __init__(self, path: Path, size: Size, threads: int) -> None:
        import onnx
        import onnxruntime

        model, self.threads = onnx.load(path), min(threads, THREADS)
        shape = model.graph.input[0].type.tensor_type.shape.dim
        for length, own in zip(shape, (1, None, *size), strict=True):
            if own:
                length.Clear()
                length.dim_value = own
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        with TemporaryDirectory() as folder:
            options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            self.model = onnx.shape_inference.infer_shapes(onnx.load(options.optimized_model_filepath))
        graph = self.model.graph
        self.nodes = list(graph.node)
        self.constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
        self.inputs = [each.name for each in graph.input if each.name not in self.constants]
        self.outputs = [each.name for each in graph.output]
        told = (*graph.input, *graph.value_info, *graph.output)
        self.types = {each.name: each.type.tensor_type.elem_type for each in told}
        self.shapes = {each.name: [own.dim_value for own in each.type.tensor_type.shape.dim] for each in told}
        self.uses = Counter([*(name for node in self.nodes for name in node.input), *self.outputs])

    def values(self, names: Sequence[str]) -> Callable[[Tensor], list[Tensor]]:
        """A function from an image to values of the file."""
        import onnx
        import onnxruntime

        model, (image,) = onnx.ModelProto(), self.inputs
        model.CopyFrom(self.model)
        del model.graph.output[:]
        wanted = [name for name in dict.fromkeys(names) if name != image]
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), session_options(self.threads), providers=["CPUExecutionProvider"]
        )

        def run(x: Tensor) -> list[Tensor]:
            made = dict(zip(wanted, session.run(None, {image: x.cpu().contiguous().numpy()}), strict=True))
            return [x if name == image else torch.from_numpy(made[name]) for name in names]

        return run

    def constant(self, node: Any, place: int, default: Any = None) -> Any:
        """A constant input of a node, by its place; the default where it is left out."""
        if place >= len(node.input) or not node.input[place]:
            return default
        if node.input[place] not in self.constants:
            raise refused(node.op_type)
        return self.constants[node.input[place]]


def session_options(threads: int) -> Any:
    """How a session of ONNX Runtime is made, on so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised: no need to print them too
    # Otherwise the idle threads of one session would spin through the turn of the next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


class Piece:
    """Some operations of a file as a function of tensors."""

    def __init__(self, file: Folded, nodes: list[Any], inputs: list[str], outputs: list[str]) -> None:
        self.file, self.nodes, self.inputs, self.outputs = file, nodes, inputs, outputs

    def append(self, node: Any) -> None:
        """Do that too, with what came out until now."""
        self.nodes.append(node)
        self.outputs = [node.output[0]]

    def joined(self, before: Sequence[Piece], links: Sequence[Mapping[str, Link]]) -> Piece:
        """These operations after those of other pieces, which make what this one takes."""
        from onnx import NodeProto

        pieces = [*before, self]
        nodes: list[Any] = []
        for number, (piece, own) in enumerate(zip(pieces, links, strict=True)):
            taken = {name: self._linked(nodes, name, link, f"{name}:{number}") for name, link in own.items()}
            for node in piece.nodes:
                copy = NodeProto()
                copy.CopyFrom(node)
                copy.input[:] = [taken.get(name, name) for name in node.input]
                nodes.append(copy)
        made = {name for node in nodes for name in node.output}
        inputs = dict.fromkeys(name for piece in pieces for name in piece.inputs if name not in made)
        masks = dict.fromkeys(link.mask for own in links for link in own.values() if link.mask)
        return Piece(self.file, nodes, [*inputs, *masks], self.outputs)

    def _linked(self, nodes: list[Any], name: str, link: Link, new: str) -> str:
        """Add what makes of a value what an operation takes of it; returns the name of that."""
        from onnx import helper

        if any(side for sides in link.crop for side in sides):
            (top, bottom), (left, right) = link.crop
            far = 2**31 - 1
            ends = [-side if side else far for side in (bottom, right)]
            slices = {"starts": [top, left], "ends": ends, "axes": [2, 3]}
            for part, numbers in slices.items():
                self.file.constants[f"{new}:{part}"] = np.array(numbers, np.int64)
            nodes.append(helper.make_node("Slice", [name, *(f"{new}:{part}" for part in slices)], [f"{new}:part"]))
            name = f"{new}:part"
        if link.mask:
            nodes.append(helper.make_node("Mul", [name, link.mask], [f"{new}:masked"]))
            name = f"{new}:masked"
        return name

    @cached_property
    def session(self) -> Any:
        """Made when it is first used: until then there may come more operations."""
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        file, made = self.file, {name for node in self.nodes for name in node.output}
        wanted = dict.fromkeys(
            name for node in self.nodes for name in node.input if name and name not in {*made, *self.inputs}
        )
        graph = helper.make_graph(
            self.nodes,
            "piece",
            [
                helper.make_tensor_value_info(name, file.types.get(name, TensorProto.FLOAT), None)
                for name in self.inputs
            ],
            [helper.make_empty_tensor_value_info(name) for name in self.outputs],
            [numpy_helper.from_array(file.constants[name], name) for name in wanted],
        )
        model = helper.make_model(graph, opset_imports=file.model.opset_import, ir_version=file.model.ir_version)
        options = session_options(file.threads)
        options.enable_mem_pattern = options.enable_cpu_mem_arena = False  # dozens would keep memory of their own
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def arrays(self, *values: np.ndarray) -> list[np.ndarray]:
        made: list[np.ndarray] = self.session.run(None, dict(zip(self.inputs, values, strict=True)))
        return made

    def __call__(self, *values: Tensor) -> Any:
        made = [
            torch.from_numpy(each) for each in self.arrays(*(each.cpu().contiguous().numpy() for each in values))
        ]
        return made[0] if len(made) == 1 else made
