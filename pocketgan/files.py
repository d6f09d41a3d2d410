"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A place beside `path` to write a file or a folder to; it takes the name `path` when the context ends well.

    Until then what was at `path` stays. When the context fails, nothing is left behind; what a killed process left
    is overwritten by the next one. A folder at `path` is replaced as a whole.

    Args:
        shared: other processes may write the same file at the same time; the last one to end wins.

        with replacing(folder / "report.json") as part:
            part.write_text(text)
    """
    # short: a name of the greatest length that the file system takes has no room for a suffix
    owner = f".{os.getpid()}" if shared else ""
    part = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}{owner}.part")
    _remove(part)
    try:
        yield part
        if part.is_dir():
            _remove(path)
        os.replace(part, path)
    except BaseException:
        _remove(part)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
