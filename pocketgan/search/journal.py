"""The journal: every step of a search in one append-only file, read again when the search resumes.

The lines are those of Optuna's own journal file, so that its tools read it; each ends with a checksum.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import TrialState

from pocketgan.errors import OutputError, note
from pocketgan.metrics.catalog import Better

#: how every journal begins, and what stands before the checksum of a line
_START, _CHECK = b'{"op_code":', b',"check":"'


@contextmanager
def open_study(path: Path, sampler: BaseSampler, better: Better, description: dict[str, Any]) -> Iterator[Study]:
    """The study in the journal at `path`, new or resumed; what a killed process left behind is cleared away.

    `description` is all that the results depend on, as JSON. Raises `OutputError` when the journal belongs to
    a search with another one, is in use, or is no journal.
    """
    # The operating system's lock: nobody else writes meanwhile, and a killed process lets go of it.
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"{path} is used by another search; wait for it or choose another folder") from None
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        _cut_damaged_lines(path)
        storage = _read(path)
        if "search" not in optuna.get_all_study_names(storage):
            optuna.create_study(
                storage=storage,
                study_name="search",
                direction="minimize" if better == "lower" else "maximize",
            )
        study = optuna.load_study(storage=storage, study_name="search", sampler=sampler)
        _claim(study, path, description)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        yield study
    finally:
        optuna.logging.set_verbosity(verbosity)
        lock.release()


class _Journal(JournalFileBackend):
    """Forced to the disk when a trial ends, not at each of its lines, which only a power cut could lose."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with self._path.open("ab") as file:
            file.write(b"".join(map(_line, logs)))
            if any("state" in log for log in logs):
                file.flush()
                os.fsync(file.fileno())


def _line(log: dict[str, Any]) -> bytes:
    return _checked(json.dumps(log, separators=(",", ":")).encode()[:-1])


def _checked(text: bytes) -> bytes:
    return b'%b%b%08x"}\n' % (text, _CHECK, zlib.crc32(text))


def _cut_damaged_lines(path: Path) -> None:
    """A process killed while writing leaves half a line, which would spoil the next one. Of a line that is damaged
    and of those after it nothing is kept: the search finds the same again."""
    if not path.exists():
        return
    content = path.read_bytes()
    # A file of somebody else is not ours to cut; a journal may end within its first word.
    if content[: len(_START)] != _START[: len(content)]:
        raise _no_journal(path)
    kept, lines = 0, content.splitlines(keepends=True)
    for line in lines:
        if _checked(line.rpartition(_CHECK)[0]) != line:
            break
        kept += len(line)
    if content[kept:].count(b"\n"):
        if not kept:
            raise _no_journal(path)
        note(f"{path} is damaged after {kept} bytes; the search goes on from there")
    if kept < len(content):
        os.truncate(path, kept)


def _read(path: Path) -> JournalStorage:
    try:
        return JournalStorage(_Journal(path))
    except (ValueError, KeyError, TypeError):
        raise _no_journal(path) from None


def _no_journal(path: Path) -> OutputError:
    return OutputError(f"{path} is not a search journal; remove it or choose another folder")


def _claim(study: Study, path: Path, description: dict[str, Any]) -> None:
    """Write down what the search depends on, or check that it is still the same."""
    known = study.user_attrs
    for name, value in description.items():
        if name not in known:
            study.set_user_attr(name, value)
        elif known[name] != value:
            raise OutputError(
                f"{path} holds a search with another {name.replace('_', ' ')}; remove it or choose another folder"
            )
