"""Saving and loading nested state: one safetensors file, tensors as tensors and the rest as JSON in its header.

The file appears whole or not at all, and knows its SHA-256; the one before it stays beside it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pocketgan.errors import DataError, note
from pocketgan.files import replacing
from pocketgan.trees import join, split


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a tree of dicts, lists, tensors and JSON scalars. What was at `path` becomes `previous(path)`."""
    rest, tensors = split(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        # not `save_file`, which hides a full disk behind an error of its own
        part.write_bytes(save(tensors, metadata={"rest": rest, "sha256": _sha256(rest, tensors)}))
        if path.exists():
            os.replace(path, previous(path))


def previous(path: Path) -> Path:
    """Where the state before the one at `path` lies."""
    return path.with_name(f"{path.stem}-previous{path.suffix}")


def _sha256(rest: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(rest.encode())
    for name in sorted(tensors, key=int):
        digest.update(f"{tensors[name].dtype}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def saving(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that saves a state to `path` while its caller goes on: it returns as soon as the state is copied.

    At most one state is being written at a time, and none any more when the context ends. What goes wrong while one
    is written is raised at the next call, or when the context ends.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="save") as worker:
        writing: Future[None] | None = None

        def save_soon(state: dict[str, Any]) -> None:
            nonlocal writing
            if writing:
                writing.result()
            writing = worker.submit(save_state, _copied(state), path)

        yield save_soon
        if writing:
            writing.result()


def _copied(value: Any) -> Any:
    """The same tree with tensors of its own, on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, (list, tuple)) else value


def load_state(path: Path) -> dict[str, Any]:
    """The tree that `save_state` wrote. Raises `DataError` when the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            rest, digest = file.metadata()["rest"], file.metadata()["sha256"]
        if digest != _sha256(rest, tensors):
            raise ValueError("some bytes are others than those that were written")
        return join(rest, tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the saved state {path} is damaged; remove it to begin that stage anew") from error


def load_last(path: Path) -> dict[str, Any] | None:
    """The state at `path`, or where that is damaged the one before it; None where none is whole. Says so."""
    for each in (path, previous(path)):
        if each.exists():
            try:
                return load_state(each)
            except DataError:
                goes_on = (
                    "from the state before it" if each == path and previous(path).exists() else "from the start"
                )
                note(f"the saved state {each} is damaged; the stage goes on {goes_on}")
    return None
