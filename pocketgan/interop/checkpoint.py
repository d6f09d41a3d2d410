"""Reading the tensors of a foreign checkpoint, without trusting the file.

No code in a file is ever run. A file that claims more than it holds, or more bytes of weights than its reader
expects, is refused before any of them is touched.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from pocketgan.errors import DataError

#: bytes of one network's weights where the caller names no other number: more than any official generator has
#: (390 MB); importing takes up to four times
LARGEST = 512 << 20

#: where wrapped checkpoints keep their networks, the likeliest first
WRAPPERS = (
    *("netG_A", "netG", "G_A", "G", "generator", "gen", "params_ema", "g_ema", "ema", "params", "a"),
    *("state_dict", "model_state_dict", "model", "net", "network"),
)
#: what DataParallel, torch.compile, FSDP and activation checkpointing put into names, anywhere in them
_WRAPPED = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32}
#: the number that PyTorch's older files begin with, as a pickle holds it
_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"
_DEPTH = 6


def read_state(path: Path, part: str | None = None, *, largest: int | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their names; of the network `part`, or of the likeliest, if it holds several.

    `largest`: the most bytes of weights that are expected, `LARGEST` by default.
    Raises `DataError` for a file that is no checkpoint, is damaged, or holds code, no weights, or weights that are
    not finite.
    """
    networks = read_networks(path, largest=largest)
    if part is not None and part not in networks:
        raise DataError(f"{path} holds no '{part}'; it holds {' and '.join(networks)}")
    name = next(iter(networks)) if part is None else part
    check_finite(path, networks[name])
    return networks[name]


def read_networks(path: Path, *, largest: int | None = None) -> dict[str, dict[str, Tensor]]:
    """Every set of named tensors in a checkpoint, by where it is ('' at the top), the likeliest first.

    Those whose names have parts (model.1.weight); the others, as counters and optimizers' moments, only where there
    are none. Their values are as they are in the file: see `check_finite`. `largest` as for `read_state`.
    """
    largest = LARGEST if largest is None else largest
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder; give the checkpoint file in it")
        size = path.stat().st_size
        if not size:
            raise DataError(f"{path} is empty; copy or download it again")
        networks = {name: _stripped(state) for name, state in _find(_content(path, size, largest)).items()}
        for state in networks.values():
            _check_claims(path, state, size, largest)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; give a checkpoint file") from error
    except Exception as error:  # a broken file breaks its reader in any way
        raise DataError(f"{path} is truncated or damaged; copy or download it again") from error
    if not networks:
        raise DataError(f"{path} holds no tensors with names; give a file that holds a state_dict")
    return {name: networks[name] for name in sorted(networks, key=_rank)}


def _rank(name: str) -> int:
    last = name.rpartition(".")[2]
    return WRAPPERS.index(last) if last in WRAPPERS else len(WRAPPERS)


def check_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise `DataError` if a weight is NaN or infinite."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise DataError(
                f"{path} holds NaN or infinite weights, first in {quoted(name)}; take an earlier checkpoint"
            )


def quoted(name: str) -> str:
    """A name out of a foreign file, fit to be printed in a line."""
    return ascii(name[:60])[1:-1] + ("..." if len(name) > 60 else "")


def _content(path: Path, size: int, largest: int) -> Any:
    """What the file holds, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(64)
    try:
        if head.startswith(b"PK"):
            _check_zip(path, size)
            return _load(path, mmap=True)
        if _MAGIC in head:
            if size > largest:
                raise DataError(f"{path} is larger than {largest >> 20} MiB; save the generator alone")
            return _load(io.BytesIO(path.read_bytes()))
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S*\w)\s", str(error))
        if code is None:
            raise
        raise DataError(
            f"{path} holds pickled code ({quoted(code[1])}), which is never run; ask for the plain state_dict"
        ) from error
    # first, for the length that safetensors begin with may start with a pickle's first byte
    if head[8:9] == b"{":
        return load_file(path)
    if head[:1] == b"\x80":
        raise DataError(f"{path} is a pickle of Python objects, which is never run; ask for the plain state_dict")
    raise DataError(f"{path} is no checkpoint; give a file of torch.save or of safetensors")


def _load(file: Path | io.BytesIO, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True, **options)


def _check_zip(path: Path, size: int) -> None:
    """The archive is whole, and unpacks to no more than it is: torch compresses nothing."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > size:
            raise DataError(f"{path} claims more than its {size:,} bytes hold; save it again with torch.save")
        if archive.testzip() is not None:
            raise zipfile.BadZipFile
        files = {name.rpartition("/")[2] for name in archive.namelist()}
        if "data.pkl" not in files:
            raise DataError(f"{path} is an archive of other files; give the checkpoint in it")
        if "constants.pkl" in files:
            raise DataError(f"{path} is a TorchScript program, which is never run; give its state_dict")


def _find(content: Any) -> dict[str, dict[str, Tensor]]:
    """The sets of named tensors in a structure of mappings and lists, by their place in it."""
    networks: dict[str, dict[str, Tensor]] = {}
    others: dict[str, dict[str, Tensor]] = {}
    seen: set[int] = set()  # a pickle may hold itself, or one thing very often

    def look(value: Any, place: str, depth: int) -> None:
        if not isinstance(value, Mapping | list | tuple) or id(value) in seen or depth > _DEPTH:
            return
        seen.add(id(value))
        items = dict(value) if isinstance(value, Mapping) else dict(enumerate(value))
        tensors = {n: each.detach() for n, each in items.items() if isinstance(n, str) and isinstance(each, Tensor)}
        if tensors:
            (networks if any("." in name for name in tensors) else others)[place] = tensors
        for name, inner in items.items():
            if isinstance(name, str | int):
                look(inner, f"{place}.{name}" if place else str(name), depth + 1)

    look(content, "", 0)
    return networks or others


def _stripped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put into the names."""
    short = {".".join(part for part in name.split(".") if part not in _WRAPPED): state[name] for name in state}
    return short if len(short) == len(state) else state


def branches(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """A state in parts, by the first part of the names: of several networks in one state, each."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        first, dot, rest = name.partition(".")
        if dot:
            parts.setdefault(first, {})[rest] = tensor
    return parts


def _check_claims(path: Path, state: Mapping[str, Tensor], size: int, largest: int) -> None:
    """Raise `DataError` unless all are ordinary tensors that the file can hold. Touches no value."""
    claimed = 0
    for name, tensor in state.items():
        ordinary = tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.dtype in _DTYPES
        if not ordinary or tensor.is_quantized or tensor.is_nested:
            raise DataError(f"{path} holds {quoted(name)}, which is no plain number tensor; save it as float32")
        needed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        if needed > held or held > size:
            needed = max(needed, held)
            raise DataError(
                f"{path} claims {needed:,} bytes of weights and has {size:,}; copy or download it again"
            )
        claimed += needed
    if claimed > largest:
        raise DataError(f"{path} holds more than {largest >> 20} MiB of weights in one network; no family does")
