"""Where the weights of networks that others trained come from.

One rule for every network: the file that the user names; else the user's cache folder; else the publisher, checked
against the pinned SHA-256; else one line that says how to get it. Never untrained weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from pocketgan.download import Progress, fetch
from pocketgan.errors import DataError, OutputError
from pocketgan.interop.checkpoint import read_state

#: the folder of the weights that travel with the package
BUNDLED = Path(__file__).parent / "weights"

Network = TypeVar("Network", bound=nn.Module)

#: bytes; the largest published file is VGG19 with its classifier (575 MB)
_LARGEST = 640 << 20


class Source(BaseModel):
    """One published file of weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str  #: how the user names the network, as in --weights NAME=FILE
    file: str
    url: str
    sha256: str  #: the hex digest, or as many of its first digits (eight or more) as are known
    size: int | None = None  #: bytes
    licence: str


def find_weights(source: Source, given: Path | None = None, progress: Progress | None = None) -> Path:
    """The file with the weights of `source`: `given`, else in the cache, else downloaded into it.

    A file that lies in the cache is taken as it is; a downloaded one has the pinned SHA-256.
    Raises `DataError` or `OutputError`, in one line with every way to get it, where there is none.
    """
    if given is not None:
        if not given.is_file():
            raise DataError(f"{given}, given as the weights of {source.name}, is no file; give {source.file}")
        return given
    target = cache_folder() / "weights" / source.file
    if target.is_file():
        return target
    try:
        return fetch(source.url, target, sha256=source.sha256, size=source.size, progress=progress)
    except (DataError, OutputError) as error:
        way = f"or give the file with --weights {source.name}=FILE"
        raise type(error)(f"{source.name} needs its trained weights: {error}, {way}") from error


def cache_folder() -> Path:
    """`$POCKETGAN_CACHE`, else `pocketgan` in the platform's folder for a user's caches (~/.cache on Linux)."""
    if chosen := os.environ.get("POCKETGAN_CACHE"):
        return Path(chosen)
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "pocketgan" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "pocketgan"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "pocketgan"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights by their names: safetensors, or a checkpoint, of which no code is run.

    Raises `DataError` for anything else.
    """
    return read_state(path, largest=_LARGEST)


def load_frozen(network: Network, path: Path, rename: Callable[[str], str] = str) -> Network:
    """`network` filled with the tensors of a file, in eval mode, frozen.

    `rename`: from a name in the file to the network's own; what the network does not have is left out.
    Raises `DataError` where the file lacks a tensor of the network or holds it in another shape.
    """
    found = {rename(name): tensor for name, tensor in read_tensors(path).items()}
    kind = type(network).__name__
    for name, tensor in network.state_dict().items():
        if name not in found:
            raise DataError(f"{path} holds no weights of {kind}: {name} is missing; give its published file")
        if found[name].shape != tensor.shape:
            shapes = f"{tuple(found[name].shape)}, not {tuple(tensor.shape)}"
            raise DataError(f"{path} holds no weights of this {kind}: {name} is {shapes}; give its published file")
    network.load_state_dict({name: found[name] for name in network.state_dict()})
    return network.eval().requires_grad_(False)
