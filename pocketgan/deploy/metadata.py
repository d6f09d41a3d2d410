"""What a file for a runtime says of its images: which of their values are -1 and 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pocketgan.data.values import Values
from pocketgan.files import replacing

#: the key of an ONNX file's metadata
KEY = "pocketgan"


def describe(path: Path, source: Values | None, target: Values) -> None:
    """Write into an ONNX file what its images hold; other files stay as they are.

    Under the key `pocketgan` of its metadata stands `{"input": {"channels": 1, "low": 0, "high": 4095, "dtype":
    "uint16"}, "output": ...}`: a value v goes in as 2 (v - low) / (high - low) - 1, and comes out likewise.

    Args:
        source: of the input; None of label maps, which go in as 0 and 1.
    """
    if path.suffix != ".onnx":
        return
    import onnx

    of_input = source and source.model_dump(mode="json")
    held: dict[str, Any] = {"input": of_input, "output": target.model_dump(mode="json")}
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(held)
    with replacing(path, shared=True) as part:
        onnx.save(model, part)
