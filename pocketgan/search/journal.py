"""The journal: every step of searches in one append-only file, which any number of processes read and write.

The lines are those of Optuna's own journal file, so that its tools read it; each ends with a checksum.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from pocketgan.errors import OutputError, note

#: how every journal begins, and what stands before the checksum of a line
_START, _CHECK = b'{"op_code":', b',"check":"'


class Gone(OutputError):
    """The journal was removed, as it is when its search has ended."""


class Journal(BaseJournalBackend):
    """The lines of the file at `path`, which is made if it is missing and `new`.

    What ends a trial is forced to the disk; of other lines only a power cut could lose one. A process that was
    killed while writing leaves half a line: readers wait for the rest, the next writer cuts it off.

    Raises `Gone` where there is no such file, and `OutputError` where it is no journal.
    """

    def __init__(self, path: Path, *, new: bool) -> None:
        self._path = path
        # The operating system's lock, which it takes from a process that is killed. Not the name of Optuna's own
        # lock, a link that it removes after some seconds whoever holds it.
        self._lock = FileLock(f"{path}.writer")
        #: where the lines that were read begin; the last one is where the next one will
        self._starts = [0]
        if new:
            path.touch()
            with self._writing():
                _cut_damaged_lines(path)

    def _writing(self) -> AbstractContextManager[object]:
        return self._lock.acquire(poll_interval=0.002)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        start = self._starts[log_number_from]
        try:
            lines = list(_read(self._path, start))
            if any(log is None for _, log in lines):
                with self._writing():  # else a line could be read while a writer cuts off half of one
                    lines = list(_read(self._path, start))
        except FileNotFoundError:
            raise _gone(self._path) from None
        for number, (length, log) in enumerate(lines, log_number_from + 1):
            if log is None:
                raise OutputError(f"{self._path} is damaged; run the command of its search again, which mends it")
            start += length
            self._starts[number:] = [start]
            yield log

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            with self._writing(), self._path.open("r+b") as file:
                _seek_whole_end(file)
                file.write(b"".join(map(_line, logs)))
                if any(log.get("state") in (TrialState.COMPLETE, TrialState.FAIL) for log in logs):
                    file.flush()
                    os.fsync(file.fileno())
        except FileNotFoundError:
            raise _gone(self._path) from None


def _line(log: dict[str, Any]) -> bytes:
    return _checked(json.dumps(log, separators=(",", ":")).encode()[:-1])


def _checked(text: bytes) -> bytes:
    return b'%b%b%08x"}\n' % (text, _CHECK, zlib.crc32(text))


def _parsed(line: bytes) -> dict[str, Any] | None:
    """What a whole line says; None if it is damaged. Tools of Optuna write lines without a checksum."""
    try:
        log = dict(json.loads(line))
    except (ValueError, TypeError):
        return None
    whole = _checked(line.rpartition(_CHECK)[0]) == line if "check" in log else "op_code" in log
    return log if whole else None


def _read(path: Path, start: int) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """The length of each whole line and what it says."""
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield len(line), _parsed(line)


def _seek_whole_end(file: BinaryIO) -> None:
    """Go to where the last whole line ends, and cut off what follows."""
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(end - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            end = file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(end)


def _cut_damaged_lines(path: Path) -> None:
    """Of a line that is damaged and of those after it nothing is kept: the search finds the same again."""
    content = path.read_bytes()
    # A file of somebody else is not ours to cut; a journal may end within its first word.
    if content[: len(_START)] != _START[: len(content)]:
        raise no_journal(path)
    kept = 0
    for length, log in _read(path, 0):
        if log is None:
            break
        kept += length
    if content[kept:].count(b"\n"):
        if not kept:
            raise no_journal(path)
        note(f"{path} is damaged after {kept} bytes; the search goes on from there")
    if kept < len(content):
        os.truncate(path, kept)


def no_journal(path: Path) -> OutputError:
    return OutputError(f"{path} is not a search journal; remove it or choose another folder")


def _gone(path: Path) -> Gone:
    return Gone(f"{path} is gone; was its search ended or removed?")
