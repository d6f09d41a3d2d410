"""Weights under the official keys, and back: every family the same way.

What is called how is in `interop.layouts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pocketgan.files import replacing
from pocketgan.interop.layouts import layout_of

#: inside a decomposed convolution
_PARTS = {"depthwise": "conv.0", "pointwise": "conv.2"}


def to_official(state: Mapping[str, Tensor], spec: Any, **options: Any) -> dict[str, Tensor]:
    """Our state under the official keys. Options are those of the layout's `names`."""
    names = layout_of(spec).names(spec, **options)
    return {_rename(key, names, _PARTS): tensor for key, tensor in state.items()}


def from_official(state: Mapping[str, Tensor], spec: Any, **options: Any) -> dict[str, Tensor]:
    """An official state under our keys. Raises KeyError for a key that the layout does not have."""
    names = {theirs: ours for ours, theirs in layout_of(spec).names(spec, **options).items()}
    return {_rename(key, names, {v: k for k, v in _PARTS.items()}): tensor for key, tensor in state.items()}


def save_official(network: Any, file: Path, **options: Any) -> None:
    """Write a network as the official code loads it: a state dict on the CPU, complete to the last key.

    In PyTorch's older file format, which the versions that the official code asks for read, and all later ones.
    """
    state = to_official(network.state_dict(), network.spec, **options)
    complete = getattr(layout_of(network.spec), "complete", None)
    if complete is not None:
        state = complete(state, network.spec)
    state = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
    with replacing(file) as part:
        torch.save(state, part, _use_new_zipfile_serialization=False)


def _rename(key: str, modules: Mapping[str, str], parts: Mapping[str, str]) -> str:
    module, _, tensor = key.rpartition(".")
    for inner, outer in parts.items():
        if module.endswith("." + inner) and module.removesuffix("." + inner) in modules:
            return f"{modules[module.removesuffix('.' + inner)]}.{outer}.{tensor}"
    return f"{modules[module]}.{tensor}"
