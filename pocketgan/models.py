"""Model folders: `model.json` (what the network is) and `weights.safetensors` (its tensors).

They load without any training code and hold no executable code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pocketgan.errors import DataError
from pocketgan.networks import GeneratorSpec, PatchSpec, init_normal, parse_spec

_SPECS: TypeAdapter[Any] = TypeAdapter(GeneratorSpec | PatchSpec)


class Model(NamedTuple):
    """A network in evaluation mode, what it is, and what is known of it (`size`, `digest`, ...)."""

    network: Any
    spec: Any
    card: dict[str, Any]


def save_model(folder: Path, network: Any, card: dict[str, Any]) -> None:
    """Write a model folder; the description last, so that a folder that has one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, folder / "weights.safetensors.part")
    os.replace(folder / "weights.safetensors.part", folder / "weights.safetensors")
    text = json.dumps({"format": 1, "spec": network.spec.model_dump(mode="json"), "card": card}, indent=1)
    (folder / "model.json.part").write_text(text + "\n")
    os.replace(folder / "model.json.part", folder / "model.json")


def is_model(folder: Path) -> bool:
    return (folder / "model.json").is_file()


def load_model(folder: Path) -> Model:
    """The model of a folder. Raises `DataError` when it is none or is damaged."""
    if not is_model(folder):
        raise DataError(f"{folder} holds no model: there is no model.json in it; give a model or run folder")
    try:
        description = json.loads((folder / "model.json").read_text())
        spec = _SPECS.validate_python(description["spec"])
        network = spec.build()
        network.load_state_dict(load_file(folder / "weights.safetensors"))
    except (OSError, KeyError, ValueError, RuntimeError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the model in {folder} is damaged ({reason}); make or copy it again") from error
    return Model(network.eval(), spec, description.get("card", {}))


def find_model(text: str) -> Model:
    """The model that a user names: a model folder, a run folder, or a spec string (with fresh weights).

    Raises `DataError` or `SpecError` when the text names nothing.
    """
    folder = Path(text)
    if folder.is_dir():
        return load_model(folder if is_model(folder) or not (folder / "model").is_dir() else folder / "model")
    if folder.exists():
        raise DataError(f"{text} is a file; give a model folder, a run folder or a spec like mobile-resnet:48")
    if ":" not in text:
        raise DataError(f"{text} does not exist; give a model folder, a run folder or a spec like mobile-resnet:48")
    spec = parse_spec(text)
    return Model(init_normal(spec.build(), torch.Generator().manual_seed(0)).eval(), spec, {})


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device
