"""What a traced generator is made of, as data: operations, tensors, width groups. `traced.py` runs it.

A size is a whole number, or [constant, [[group, factor], ...]]: constant + sum of factor * width of the group.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketgan.networks.spec import Widths

Affine = int | list[Any]


def at(size: Affine, widths: Widths) -> int:
    """A size at these widths."""
    if isinstance(size, int):
        return size
    constant, factors = size
    return constant + sum(factor * widths[group] for group, factor in factors)


@dataclass(frozen=True)
class Node:
    """One operation. Arguments are JSON; {"value": i} is what node i gave (0 the image), {"tensor": name} a tensor,
    {"size": affine} a number that follows the widths, {"times": [argument, affine]} a product with one."""

    op: str
    args: list[Any]
    kwargs: dict[str, Any]

    def sources(self) -> Iterator[int]:
        """The numbers of the values that it takes."""
        yield from _sources([self.args, list(self.kwargs.values())])


def _sources(arg: Any) -> Iterator[int]:
    if isinstance(arg, list):
        for part in arg:
            yield from _sources(part)
    elif isinstance(arg, dict):
        if "value" in arg:
            yield arg["value"]
        elif "times" in arg:
            yield from _sources(arg["times"][0])


#: characters that the entries of a buffer may have: a short text from a stranger could grow to fill the memory
MOST_TEXT = 64 << 20


@dataclass(frozen=True)
class TensorEntry:
    """A parameter or buffer: for each axis the sizes of its parts; its law as mean and standard deviation; a
    buffer's entries when it was traced."""

    axes: list[list[Affine]]
    parameter: bool
    dtype: str
    law: tuple[float, float]
    content: str | None

    def value(self) -> Tensor:
        """A buffer's entries. Raises ValueError where they are damaged, or too many."""
        packed = zlib.decompressobj()
        try:
            text = packed.decompress(base64.b64decode(self.content or ""), MOST_TEXT)
        except zlib.error as error:
            raise ValueError("the entries of a buffer are damaged") from error
        if packed.unconsumed_tail:
            raise ValueError(f"a buffer has more than {MOST_TEXT} characters of entries")
        content = json.loads(text)
        return torch.from_numpy(np.array(content["entries"])).to(getattr(torch, self.dtype)).view(content["shape"])


def pack(value: Tensor) -> str:
    """A buffer's entries as text."""
    content = {"shape": list(value.shape), "entries": value.flatten().tolist()}
    return base64.b64encode(zlib.compress(json.dumps(content).encode(), 9)).decode()


@dataclass(frozen=True)
class Program:
    """All of a traced generator but its weights.

    Attributes:
        groups: name, widest width and channels of a unit of each width group.
        options: for each group, the widths of the usual search space, largest first.
        modules: the kinds and plain attributes of the modules, by path, in their order.
        forgotten: for each node, the values that nothing needs after it.
        taps: for each, its node and its channels.
        fixed_size: height and width, where the forward fixes them.
    """

    groups: tuple[tuple[str, int, int], ...]
    options: tuple[tuple[int, ...], ...]
    modules: dict[str, tuple[str, dict[str, Any]]]
    tensors: dict[str, TensorEntry]
    nodes: tuple[Node, ...]
    forgotten: tuple[tuple[int, ...], ...]
    output: int
    taps: dict[str, tuple[int, Affine]]
    in_channels: int
    out_channels: int
    stride: int
    smallest_side: int
    fixed_size: tuple[int, int] | None


@lru_cache(maxsize=64)
def read_program(text: str) -> Program:
    """A program from its JSON. Raises ValueError, KeyError or TypeError for what is none."""
    content = json.loads(text)
    nodes = tuple(Node(op, args, kwargs) for op, args, kwargs in content["nodes"])
    last: dict[int, int] = {}
    for place, node in enumerate(nodes, 1):
        last.update(dict.fromkeys((*node.sources(), place), place))
    last[content["output"]] = len(nodes) + 1
    for place, _ in content["taps"].values():
        last[place] = max(last[place], place)
    forgotten: list[list[int]] = [[] for _ in nodes]
    for value, place in last.items():
        if place <= len(nodes):
            forgotten[place - 1].append(value)
    return Program(
        groups=tuple((name, widest, unit) for name, widest, unit in content["groups"]),
        options=tuple(tuple(options) for options in content["options"]),
        modules={path: (kind, attributes) for path, (kind, attributes) in content["modules"].items()},
        tensors={
            name: TensorEntry(**{**entry, "law": tuple(entry["law"])}) for name, entry in content["tensors"].items()
        },
        nodes=nodes,
        forgotten=tuple(map(tuple, forgotten)),
        output=content["output"],
        taps={name: (place, size) for name, (place, size) in content["taps"].items()},
        in_channels=content["in_channels"],
        out_channels=content["out_channels"],
        stride=content["stride"],
        smallest_side=content["smallest_side"],
        fixed_size=tuple(content["fixed_size"]) if content["fixed_size"] else None,
    )
