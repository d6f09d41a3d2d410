"""The store: one folder a stage, `<kind>-<digest12>/{stage.json, artifact/, state/, log.jsonl}`.

An artifact is written under a temporary name and renamed when it is complete: what is there is whole.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout

from pocketgan.errors import OutputError
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.training.fit import Runtime

Status = Literal["finished", "partial", "missing"]
Watch = Callable[[Stage, int, int], None]


class Store:
    """Remembers artifacts by the digests of their stages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def home(self, stage: Stage) -> Path:
        return self.folder / stage.address

    def artifact(self, stage: Stage) -> Path:
        return self.home(stage) / "artifact"

    def status(self, stage: Stage) -> Status:
        if self.artifact(stage).is_dir():
            return "finished"
        return "partial" if (self.home(stage) / "state").is_dir() else "missing"

    def seconds(self, stage: Stage) -> float:
        """How long a finished stage ran, over all its sessions."""
        return _Clock(self.home(stage) / "seconds.json").total

    def realise(self, stage: Stage, runtime: Runtime, watch: Watch = lambda stage, done, total: None) -> Path:
        """The artifact of a stage: loaded if finished, resumed if partial, else made; inputs first."""
        if self.status(stage) == "finished":
            return self.artifact(stage)
        for needed in stage.inputs():
            self.realise(needed, runtime, watch)
        home = self.home(stage)
        unfinished = home / "artifact.part"
        with writing(home):
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            (home / "stage.json").write_text(stage.model_dump_json(indent=1) + "\n")
            work = Workspace(
                folder=home,
                artifact=unfinished,
                cache=self.folder / "cache",
                inputs=self.artifact,
                runtime=runtime,
                progress=lambda done, total: watch(stage, done, total),
            )
            with _Clock(home / "seconds.json").running():
                stage.run(work)
            os.replace(unfinished, self.artifact(stage))
            shutil.rmtree(home / "state", ignore_errors=True)
        return self.artifact(stage)


class _Clock:
    """Adds up the seconds of the sessions of one stage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.total = float(json.loads(path.read_text()))
        except (OSError, ValueError):
            self.total = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.path.write_text(json.dumps(round(self.total + time.monotonic() - start, 1)))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one line what keeps a folder from being written."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full; free some space and run the same command again",
            errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
            errno.EACCES: "no permission to write there; choose another --out",
            errno.EROFS: "the file system is read-only; choose another --out",
            errno.ENOTDIR: "a file stands where a folder should be; choose another --out",
            errno.EEXIST: "a file stands where a folder should be; choose another --out",
        }
        if error.errno not in reasons:
            raise
        raise OutputError(f"{folder} cannot be written: {reasons[error.errno]}") from error


class Owner(NamedTuple):
    """Who a run folder belongs to, and what `recipe.json` in it says beside that."""

    name: str
    digest: str
    content: dict[str, Any]


@contextmanager
def claim(folder: Path, owner: Owner) -> Iterator[None]:
    """Take a run folder for one recipe while the context lasts.

    Raises `OutputError` when it cannot be written, belongs to another recipe, or a run is going on in it.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"{folder} is in use by a run that is going on; wait for it or choose another --out"
            ) from None
        try:
            _mark(folder, owner)
            yield
        finally:
            lock.release()


def _mark(folder: Path, owner: Owner) -> None:
    """Write `recipe.json`, or raise when the folder is somebody else's."""
    mark = folder / "recipe.json"
    if mark.exists():
        found = json.loads(mark.read_text())
        if found["digest"] != owner.digest:
            raise OutputError(
                f"{folder} belongs to another recipe ({found['name']}, {found['digest'][:12]}; this one is "
                f"{owner.name}, {owner.digest[:12]}); choose another --out or remove it"
            )
    elif any(item.name != ".lock" for item in folder.iterdir()):
        raise OutputError(f"{folder} is not empty and no run of PocketGAN; choose another --out")
    content = {"name": owner.name, "digest": owner.digest, **owner.content}
    temporary = mark.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, mark)
