"""Where the candidates of a search are kept: a journal file, or a server that many machines reach.

Both are storages of Optuna; a search is a study there, and its tools open it.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.study import Study, StudyDirection

from pocketgan import __version__
from pocketgan.errors import OutputError, SpecError
from pocketgan.metrics.catalog import Better
from pocketgan.search.journal import Journal, no_journal

#: what `--storage` may be
FORMS = "journal:PATH, postgresql://USER@HOST/DATABASE or grpc://HOST:PORT"
#: seconds in which a server must answer at first
ANSWER = 10


class Place(NamedTuple):
    """Where a search is kept: `url`, and the name of its study there. A path is a journal file."""

    url: str | Path
    study: str = "search"

    @property
    def journal(self) -> Path | None:
        """The file, where that is what it is."""
        if isinstance(self.url, Path):
            return self.url
        kind, colon, path = self.url.partition(":")
        return Path(path) if colon and kind == "journal" else None

    def __str__(self) -> str:
        """For messages: without the password."""
        if self.journal:
            return str(self.journal)
        parts = urlsplit(str(self.url))
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_url(url: str) -> None:
    """Raise `SpecError` where a text names no storage, or one whose package is not installed."""
    place = Place(url)
    try:
        parts = urlsplit(url)
        known = bool(place.journal and place.journal.name) or (
            parts.scheme == "postgresql" and bool(parts.hostname) and parts.path not in ("", "/")
        )
        if not known and not (parts.scheme == "grpc" and parts.hostname and parts.port):
            raise ValueError
    except ValueError:
        raise SpecError(f"--storage {place} is no storage; write {FORMS}") from None
    needed = {"postgresql": "psycopg", "grpc": "grpc"}.get(parts.scheme)
    if needed and not importlib.util.find_spec(needed):
        raise SpecError(f"{parts.scheme}: needs a package that is not installed; pip install 'pocketgan[search]'")


def reach(url: str) -> None:
    """Raise `OutputError` where a storage does not answer, or cannot be written."""
    place = Place(url)
    with _silent(), _answering(place):
        try:
            _storage(place, new=True)
        except OSError as error:
            raise OutputError(f"{place} cannot be written: {error.strerror}; name another --storage") from error


@contextmanager
def opened(place: Place, better: Better, description: Mapping[str, Any]) -> Iterator[Study]:
    """The study of a search, made if it is not there; of a journal file, nobody else has it open.

    `description` is all that the results depend on, as JSON. Raises `OutputError` when the study is that of a
    search with another one, is in use, or is no journal, and when the storage does not answer.
    """
    owned = FileLock(f"{place.journal}.{place.study}.owner") if place.journal else nullcontext()
    with _silent(), _answering(place):
        try:
            if isinstance(owned, FileLock):
                owned.acquire(timeout=0)
        except Timeout:
            raise OutputError(f"{place} is used by another search; wait for it or choose another folder") from None
        with owned:
            storage = _storage(place, new=True)
            if place.study not in optuna.get_all_study_names(storage):
                direction = StudyDirection.MINIMIZE if better == "lower" else StudyDirection.MAXIMIZE
                optuna.create_study(storage=storage, study_name=place.study, direction=direction)
            study = optuna.load_study(storage=storage, study_name=place.study, sampler=RandomSampler())
            known = study.user_attrs
            for name, value in description.items():
                if name not in known:
                    study.set_user_attr(name, value)
                elif known[name] != value:
                    what = name.replace("_", " ")
                    raise OutputError(
                        f"{place} holds a search with another {what}; remove it or choose another folder"
                    )
            if known.get("version") != __version__:
                study.set_user_attr("version", __version__)
            yield study


@contextmanager
def joined(place: Place, description: Mapping[str, Any]) -> Iterator[Study]:
    """The study of a search that somebody else has opened. Raises `SpecError` where there is none such."""
    with _silent(), _answering(place):
        if place.journal and not place.journal.exists():
            raise _nothing(place)
        storage = _storage(place, new=False)
        names = optuna.get_all_study_names(storage)
        if place.study not in names:
            address = place.study.rpartition("-")[0]
            if any(name.rpartition("-")[0] == address for name in names):
                raise SpecError(
                    f"the search in {place} is of another supernet than lies in this store, with the same "
                    "settings; copy the store of the run"
                )
            raise _nothing(place)
        study = optuna.load_study(storage=storage, study_name=place.study, sampler=RandomSampler())
        known = study.user_attrs
        if "version" not in known:
            raise _nothing(place)  # it is being made
        if known["version"] != __version__:
            raise SpecError(
                f"the search in {place} is of PocketGAN {known['version']}, and this is {__version__}; install the "
                "same"
            )
        for name, value in description.items():
            if known.get(name) != value:
                raise SpecError(f"the search in {place} has another {name.replace('_', ' ')} than this one")
        yield study


def _nothing(place: Place) -> SpecError:
    return SpecError(
        f"no search of that run is waiting in {place}; begin it with its own command, on the same --storage"
    )


def _storage(place: Place, new: bool) -> BaseStorage:
    url = str(place.url)
    if place.journal:
        try:
            return JournalStorage(Journal(place.journal, new=new))
        except (ValueError, KeyError, TypeError):
            raise no_journal(place.journal) from None
    check_url(url)
    if url.startswith("postgresql:"):
        return _database(place, new)
    parts = urlsplit(url)
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        # host and port are there, as was checked
        storage = GrpcStorageProxy(host=parts.hostname or "", port=parts.port or 0)
    try:
        storage.wait_server_ready(timeout=ANSWER)
    except ConnectionError:
        raise _mute(place, f"nobody within {ANSWER} s") from None
    return storage


def _database(place: Place, new: bool, attempts: int = 5) -> RDBStorage:
    from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

    url = str(place.url).replace("postgresql:", "postgresql+psycopg:", 1)
    engine = {"pool_pre_ping": True, "connect_args": {"connect_timeout": ANSWER}}
    try:
        return RDBStorage(url, engine, skip_table_creation=not new)
    except (SQLAlchemyError, StorageInternalError) as error:
        # Optuna's tables are not there, or somebody else is making them
        met = error.__cause__ if isinstance(error, StorageInternalError) else error
        if not isinstance(met, (ProgrammingError, IntegrityError)) or (new and not attempts):
            raise
        if not new:
            raise _nothing(place) from None
    time.sleep(0.2)
    return _database(place, new, attempts - 1)


@contextmanager
def _silent() -> Iterator[None]:
    """Optuna says nothing meanwhile."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextmanager
def _answering(place: Place) -> Iterator[None]:
    """Say in one line what a server does not do."""
    if place.journal:
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError

    failures: list[type[Exception]] = [SQLAlchemyError, StorageInternalError]
    if importlib.util.find_spec("grpc"):
        import grpc

        failures.append(grpc.RpcError)
    try:
        yield
    except tuple(failures) as error:
        raise _mute(place, _reason(error)) from error


def _reason(error: BaseException) -> str:
    """The last line of what a server or its driver said, which tells no password."""
    while isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    said = error.details() if hasattr(error, "details") else getattr(error, "orig", None) or error
    return (str(said).strip().splitlines() or ["no reason"])[-1].strip()


def _mute(place: Place, reason: str) -> OutputError:
    return OutputError(
        f"the storage {place} does not answer ({reason}); see that its server runs and that --storage names it, "
        "then run the same command again"
    )
