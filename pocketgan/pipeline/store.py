"""The store: one folder a stage, `<kind>-<digest12>/{stage.json, artifact/, state/, log.jsonl}`.

An artifact is written under a temporary name and renamed when it is complete: what is there is whole.
"""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout

from pocketgan.errors import OutputError
from pocketgan.files import replacing
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.runtime import Runtime

#: where a run folder says whose it is, and where its store is
MARK = "recipe.json"
STAGES = "stages"

Status = Literal["finished", "partial", "missing"]
Watch = Callable[[Stage, int, int], None]


class Store:
    """Remembers artifacts by the digests of their stages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def cache(self) -> Path:
        """Where decoded images lie, for all stages."""
        return self.folder / "cache"

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
        return _Clock(self.home(stage) / "seconds.json").wall

    def processor_seconds(self, stage: Stage) -> float:
        """How much processor time a finished stage took, over all its sessions and threads."""
        return _Clock(self.home(stage) / "seconds.json").processor

    def realise(self, stage: Stage, runtime: Runtime, watch: Watch = lambda stage, done, total: None) -> Path:
        """The artifact of a stage: loaded if finished, resumed if partial, else made; inputs first."""
        if self.status(stage) == "finished":
            # left where a kill fell between the artifact and its own clearing away
            shutil.rmtree(self.home(stage) / "state", ignore_errors=True)
            return self.artifact(stage)
        for needed in stage.inputs():
            self.realise(needed, runtime, watch)
        home = self.home(stage)
        with writing(home):
            home.mkdir(parents=True, exist_ok=True)
            (home / "stage.json").write_text(json.dumps(stage.fields(), indent=1) + "\n")
            with replacing(self.artifact(stage)) as unfinished, _Clock(home / "seconds.json").running():
                unfinished.mkdir()
                stage.run(
                    Workspace(
                        folder=home,
                        artifact=unfinished,
                        cache=self.cache,
                        inputs=self.artifact,
                        runtime=runtime,
                        progress=lambda done, total: watch(stage, done, total),
                    )
                )
            shutil.rmtree(home / "state", ignore_errors=True)
        return self.artifact(stage)


class _Clock:
    """Adds up the seconds of the sessions of one stage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.wall, self.processor = map(float, json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            self.wall = self.processor = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        wall, processor = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            totals = (self.wall + time.monotonic() - wall, self.processor + time.process_time() - processor)
            with replacing(self.path) as part:
                part.write_text(json.dumps([round(total, 1) for total in totals]))


REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "a file grew larger than is allowed there; raise the limit or choose another --out",
    errno.EACCES: "no permission to write there; choose another --out",
    errno.EPERM: "no permission to write there; choose another --out",
    errno.EROFS: "the file system is read-only; choose another --out",
    errno.ENOTDIR: "a file stands where a folder should be; choose another --out",
    errno.EEXIST: "a file stands where a folder should be; choose another --out",
    errno.ENAMETOOLONG: "the name is too long; choose another --out",
}


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one line what keeps a folder from being written."""
    try:
        yield
    except OSError as error:
        if error.errno not in REASONS:
            raise
        raise OutputError(f"{folder} cannot be written: {REASONS[error.errno]}") from error


class Owner(NamedTuple):
    """Who a run folder belongs to, and what `recipe.json` in it says beside that."""

    name: str
    digest: str
    content: dict[str, Any]


@contextmanager
def claim(folder: Path, owner: Owner) -> Iterator[None]:
    """Take a run folder for one recipe while the context lasts.

    When the context fails before anything in a new folder was finished or saved, the folder is left as it was.

    Raises `OutputError` when it cannot be written, belongs to another recipe, or a run is going on in it.
    """
    check_owner(folder, owner)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    _make(folder)
    with writing(folder):
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"{folder} is in use by a run that is going on; wait for it or choose another --out"
            ) from None
        new = not (folder / MARK).exists()
        stages = folder / STAGES
        try:
            check_owner(folder, owner)
            _mark(folder, owner)
            yield
        except BaseException:
            if new and not any((*stages.glob("*/artifact"), *stages.glob("*/state"))):
                _unmake(folder, made)
            raise
        finally:
            lock.release()


def check_owner(folder: Path, owner: Owner) -> None:
    """Raise `OutputError` when a run folder is somebody else's. Writes nothing.

    A recipe that differs by the metric alone may go on: what is finished and the same is taken as it is.
    """
    mark = folder / MARK
    with writing(folder):
        if mark.is_file():
            digest, name, recipe = _read_mark(mark)
            if digest != owner.digest and not _but_for_the_metric(recipe, owner.content.get("recipe")):
                raise OutputError(
                    f"{folder} belongs to another recipe ({name}, {digest[:12]}; this one is "
                    f"{owner.name}, {owner.digest[:12]}); choose another --out or remove it"
                )
        elif folder.is_dir() and any(item.name != ".lock" and item.suffix != ".part" for item in folder.iterdir()):
            raise OutputError(f"{folder} is not empty and no run of PocketGAN; choose another --out")


def _but_for_the_metric(first: Any, second: Any) -> bool:
    """Whether two recipes, as JSON, differ by the score that chooses, and by nothing that a user said beside it."""
    said = ("name", "method", "task", "budget", "seed", "roles")
    alike = first and second and all(first.get(name) == second.get(name) for name in said)
    return bool(alike) and first.get("metric") != second.get("metric")


def _read_mark(mark: Path) -> tuple[str, str, Any]:
    try:
        found = json.loads(mark.read_text())
        return str(found["digest"]), str(found["name"]), found.get("recipe")
    except (ValueError, KeyError, TypeError):
        raise OutputError(f"{mark} is damaged; choose another --out or remove {mark.parent}") from None


def _mark(folder: Path, owner: Owner) -> None:
    """Write down whose the folder is."""
    content = {"name": owner.name, "digest": owner.digest, **owner.content}
    with replacing(folder / MARK) as part:
        part.write_text(json.dumps(content) + "\n")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = REASONS.get(error.errno or 0, f"{error.strerror}; choose another --out")
        raise OutputError(f"{folder} cannot be written: {reason}") from error


def _unmake(folder: Path, made: list[Path]) -> None:
    """Remove what a run writes, then the folder and its parents as far as they were made for it and are empty."""
    shutil.rmtree(folder / STAGES, ignore_errors=True)
    with suppress(OSError):
        for name in (MARK, ".lock"):
            (folder / name).unlink(missing_ok=True)
        for path in made:
            path.rmdir()
