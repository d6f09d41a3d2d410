"""Saving and loading nested state: one safetensors file, tensors as tensors and the rest as JSON in its header.

The file appears whole or not at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pocketgan.errors import DataError


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a tree of dicts, lists, tensors and JSON scalars."""
    tensors: dict[str, torch.Tensor] = {}
    rest = _split(state, tensors)
    temporary = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    # not `save_file`, which hides a full disk behind an error of its own
    temporary.write_bytes(save(tensors, metadata={"rest": json.dumps(rest)}))
    os.replace(temporary, path)


def load_state(path: Path) -> dict[str, Any]:
    """The tree that `save_state` wrote. Raises `DataError` when the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return _join(json.loads(file.metadata()["rest"]), file)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the saved state {path} is damaged; remove it to begin that stage anew") from error


def _split(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        key = str(len(tensors))
        tensors[key] = value.detach().contiguous()
        return {"tensor": key}
    if isinstance(value, dict):
        # a list of pairs, because JSON would turn the optimizers' integer keys into text
        return {"dict": [[k, _split(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [_split(v, tensors) for v in value]}
    return {"value": value}


def _join(node: dict[str, Any], file: Any) -> Any:
    ((kind, value),) = node.items()
    if kind == "tensor":
        return file.get_tensor(value)
    if kind == "dict":
        return {k: _join(v, file) for k, v in value}
    return [_join(v, file) for v in value] if kind == "list" else value
