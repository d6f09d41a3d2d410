"""Trees of dicts, lists, tensors and JSON scalars, taken apart: the tensors by number, the rest as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import torch
from safetensors.torch import load, save


def split(tree: Any) -> tuple[str, dict[str, torch.Tensor]]:
    """The tree as JSON, in which a tensor stands as its number, and the tensors, on the CPU, by that number."""
    tensors: dict[str, torch.Tensor] = {}
    return json.dumps(_split(tree, tensors)), tensors


def join(rest: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The tree of which `split` made these, with lists for tuples. Raises ValueError, KeyError or TypeError."""
    return _join(json.loads(rest), tensors)


def tensors_of(tree: Any) -> Iterator[torch.Tensor]:
    """The tensors themselves, wherever they are."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, (dict, list, tuple)):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from tensors_of(each)


def to_bytes(tree: Any) -> bytes:
    """The tree as bytes that hold no code."""
    rest, tensors = split(tree)
    return save({**tensors, "rest": torch.frombuffer(bytearray(rest.encode()), dtype=torch.uint8)})


def from_bytes(content: bytes) -> Any:
    """The tree of which `to_bytes` made these."""
    tensors = load(content)
    return join(tensors.pop("rest").numpy().tobytes().decode(), tensors)


def _split(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        key = str(len(tensors))
        tensors[key] = value.detach().cpu().contiguous()
        return {"tensor": key}
    if isinstance(value, dict):
        # a list of pairs, because JSON would turn the optimizers' integer keys into text
        return {"dict": [[k, _split(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [_split(v, tensors) for v in value]}
    return {"value": value}


def _join(node: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, value),) = node.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {k: _join(v, tensors) for k, v in value}
    return [_join(v, tensors) for v in value] if kind == "list" else value
