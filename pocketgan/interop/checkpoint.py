"""Reading the tensors of a foreign checkpoint, without trusting the file.

No code in a file is ever run. A file that claims more than it holds, or more than `LARGEST` bytes of weights, is
refused before any of them is touched.
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

#: bytes of one network's weights: more than the largest official generator has, and far below a machine's memory
LARGEST = 640 << 20

#: where wrapped checkpoints keep their networks, the likeliest first
WRAPPERS = (
    *("netG_A", "netG", "G_A", "G", "generator", "gen", "params_ema", "g_ema", "ema", "params", "a"),
    *("state_dict", "model_state_dict", "model", "net", "network"),
)
_PREFIXES = ("module", "_orig_mod", "netG", "generator", "netD", "discriminator", "net")
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32}
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_DEPTH = 4


def read_state(path: Path, part: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their names; of the network `part`, or of the likeliest, if it holds several.

    Raises `DataError` for a file that is no checkpoint, is damaged, or holds code, no weights, or weights that are
    not finite.
    """
    networks = read_networks(path)
    if part is not None and part not in networks:
        raise DataError(f"{path} holds no '{part}'; it holds {' and '.join(networks)}")
    name = next(iter(networks)) if part is None else part
    check_finite(path, networks[name])
    return networks[name]


def read_networks(path: Path) -> dict[str, dict[str, Tensor]]:
    """Every set of named tensors in a checkpoint, by where it is ('' at the top), the likeliest first.

    Their values are as they are in the file: see `check_finite`.
    """
    path = Path(path)
    size = _size(path)
    networks = {name: _stripped(state) for name, state in _find(_content(path, size)).items()}
    if not networks:
        raise DataError(f"{path} holds no tensors with names; give a file that holds a state_dict")
    for state in networks.values():
        _check_claims(path, state, size)

    def rank(name: str) -> int:
        last = name.rpartition(".")[2]
        return WRAPPERS.index(last) if last in WRAPPERS else len(WRAPPERS)

    return {name: networks[name] for name in sorted(networks, key=rank)}


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


def _size(path: Path) -> int:
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the checkpoint file in it, e.g. {path / 'latest_net_G.pth'}")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; give a checkpoint file") from error
    if not size:
        raise DataError(f"{path} is empty; copy or download it again")
    return size


def _content(path: Path, size: int) -> Any:
    """What the file holds, by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_LEGACY))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; give a checkpoint file") from error
    try:
        if head.startswith(b"PK"):
            _check_zip(path, size)
            return _load(path, mmap=True)
        if head[:1] == b"\x80":
            if size > LARGEST:
                raise DataError(f"{path} is larger than {LARGEST >> 20} MiB; save the generator alone")
            return _load(io.BytesIO(path.read_bytes()))
        if head[8:9] == b"{":
            return load_file(path)
    except DataError:
        raise
    except pickle.UnpicklingError as error:
        _refuse_pickle(path, str(error))
    except Exception as error:  # a broken file breaks its reader in any way
        raise DataError(f"{path} is truncated or damaged; copy or download it again") from error
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
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise DataError(
                f"{path} is a TorchScript program, which is never run; give the state_dict of its network"
            )


def _refuse_pickle(path: Path, message: str) -> None:
    code = re.search(r"GLOBAL (\S+)|(?:instantiate|reduce|Unsupported class) .*?([\w.]+)", message)
    if code or ("weights only" in message.lower() and "Unsupported" in message):
        name = quoted(next(filter(None, code.groups()), "")) if code else ""
        raise DataError(
            f"{path} holds pickled code{f' ({name})' if name else ''}, which is never run; "
            "ask its author for the plain state_dict"
        )
    raise DataError(f"{path} is truncated or damaged; copy or download it again")


def _find(content: Any) -> dict[str, dict[str, Tensor]]:
    """The mappings from names to tensors in a structure of mappings, by their place in it."""
    found: dict[str, dict[str, Tensor]] = {}
    seen: set[int] = set()  # a pickle may hold itself, or one thing very often

    def look(value: Any, place: str, depth: int) -> None:
        if not isinstance(value, Mapping) or id(value) in seen or depth > _DEPTH:
            return
        seen.add(id(value))
        tensors = {name: v for name, v in value.items() if isinstance(name, str) and isinstance(v, Tensor)}
        if tensors:
            found[place] = {name: tensor.detach() for name, tensor in tensors.items()}
            return
        for name, inner in value.items():
            if isinstance(name, str):
                look(inner, f"{place}.{name}" if place else name, depth + 1)

    look(content, "", 0)
    return found


def _stripped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put in front of every name."""
    for prefix in _PREFIXES:
        if all(name.startswith(f"{prefix}.") for name in state):
            return _stripped({name.removeprefix(f"{prefix}."): tensor for name, tensor in state.items()})
    return state


def _check_claims(path: Path, state: Mapping[str, Tensor], size: int) -> None:
    """Raise `DataError` unless all are ordinary tensors that the file can hold. Touches no value."""
    claimed = 0
    for name, tensor in state.items():
        ordinary = tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.dtype in _DTYPES
        if not ordinary or tensor.is_quantized or tensor.is_nested:
            raise DataError(f"{path} holds {quoted(name)}, which is no plain number tensor; save it as float32")
        claimed += tensor.numel() * tensor.element_size()
    if claimed > size:
        raise DataError(f"{path} claims {claimed:,} bytes of weights and has {size:,}; copy or download it again")
    if claimed > LARGEST:
        raise DataError(
            f"{path} holds more than {LARGEST >> 20} MiB of weights in one network, which no family has"
        )
