"""Files and folders that appear whole or not at all, and whether they are still what they were."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import platform
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pocketgan.errors import SpecError

#: a number of this machine's: processes have theirs on one machine alone, and folders may be on several
_MACHINE = zlib.crc32(platform.node().encode())
#: bytes of a seal: the SHA-256 of all that stands before it in a file
SEAL = 32


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A place beside `path` to write a file or a folder to; it takes the name `path` when the context ends well.

    Until then what was at `path` stays. When the context fails, nothing is left behind; what a killed process left
    is overwritten by the next one. A folder at `path` is replaced as a whole. The content is on the disk before it
    takes the name, and the name before the context ends: a power cut leaves the old or the new, whole.

    Args:
        shared: other processes may write the same file at the same time; the last one to end wins.

        with replacing(folder / "report.json") as part:
            part.write_text(text)
    """
    # short: a name of the greatest length that the file system takes has no room for a suffix
    name = f".{zlib.crc32(os.fsencode(path.name)):08x}"
    owner = f".{_MACHINE:08x}-{os.getpid()}" if shared else ""
    part = path.with_name(f"{name}{owner}.part")
    _remove(part)
    for other in path.parent.glob(f"{name}.{_MACHINE:08x}-*.part") if shared else ():
        if _is_gone(int(other.name.rpartition("-")[2].removesuffix(".part"))):
            _remove(other)
    try:
        yield part
        for item in part.rglob("*"):
            _force(item)
        _force(part)
        if part.is_dir():
            _remove(path)
        os.replace(part, path)
        _force(path.parent)
    except BaseException:
        _remove(part)
        raise


def _is_gone(process: int) -> bool:
    """Whether no process of this machine has that number."""
    if os.name == "nt":
        return False  # to ask would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is somebody else's
    return False


def path_of(place: Any, what: str) -> Path:
    """The path that a user gave for this. Raises `SpecError` where it is none."""
    try:
        return Path(place)
    except TypeError as error:
        raise SpecError(
            f"{what} is a path, not of type {type(place).__name__}; give a string or a pathlib.Path"
        ) from error


def _force(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # no folder can be opened there
    place = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(place)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that know no such thing
            raise
    finally:
        os.close(place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file in 64 hex digits; computed once, unless its size or time of change is another."""
    found = path.stat()
    return _sha256(path, found.st_size, found.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_sealed(path: Path) -> bool:
    """Whether a file ends with its seal; looked at once, unless its size or time of change is another."""
    found = path.stat()
    return found.st_size > SEAL and _sealed(path, found.st_size, found.st_mtime_ns)


@cache
def _sealed(path: Path, size: int, changed: int) -> bool:
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as view,
        view[:-SEAL] as before,
    ):
        return hashlib.sha256(before).digest() == content[-SEAL:]
