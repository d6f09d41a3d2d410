"""The store: one folder a stage, `<kind>-<digest12>/{stage.json, artifact/, digests.json, state/, log.jsonl}`.

An artifact is written under a temporary name and renamed when it is complete, with the digests of its files beside
it: what is there is whole, or is found to be damaged and made again. Several runs may use one store.
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
from typing import Literal

from filelock import FileLock, Timeout

from pocketgan.errors import OutOfMemory, OutputError, note
from pocketgan.files import replacing
from pocketgan.pipeline.manifest import damaged, seal, spoils_the_artifact
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.runtime import Runtime, is_out_of_memory

Status = Literal["finished", "damaged", "partial", "missing"]
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
        return status_of(self.home(stage))

    def beside(self, stage: Stage, name: str) -> Path:
        """A file beside the artifact of a finished stage; an empty one in place of a damaged one, which is said."""
        path = self.home(stage) / name
        if name in damaged(self.home(stage)):
            note(f"{path} is damaged and left out; no result depends on it")
            return Path(os.devnull)
        return path if path.exists() else Path(os.devnull)

    def seconds(self, stage: Stage) -> float:
        """How long a finished stage ran, over all its sessions; 0 where that is not known."""
        return _Clock(self.beside(stage, "seconds.json")).wall

    def processor_seconds(self, stage: Stage) -> float:
        """How much processor time a finished stage took, over all its sessions and threads; 0 where not known."""
        return _Clock(self.beside(stage, "seconds.json")).processor

    def realise(self, stage: Stage, runtime: Runtime, watch: Watch = lambda stage, done, total: None) -> Path:
        """The artifact of a stage: loaded if finished, resumed if partial, else made; inputs first.

        Where several processes carry out the run, all must call it. The first one looks, waits, makes and writes;
        the others help it with what is `shared`, and read what it has published.
        """
        home, world = self.home(stage), runtime.world
        if world.first(lambda: self.status(stage)) != "finished":
            for needed in stage.inputs():
                self.realise(needed, runtime, watch)
            if world.leads:
                self._lead(stage, runtime, watch)
            elif world.first(lambda: True) and stage.shared:
                with memory_for(stage):
                    stage.run(self.workspace(stage, home / "artifact", runtime, watch))
            world.wait()
        if world.leads:
            # a kill may have fallen between the artifact and this
            shutil.rmtree(home / "state", ignore_errors=True)
        return self.artifact(stage)

    def _lead(self, stage: Stage, runtime: Runtime, watch: Watch) -> None:
        """Make a stage, alone with it, unless another run has made it meanwhile; others are told what it is."""
        home = self.home(stage)
        with writing(home), alone(home):
            status = self.status(stage)
            if status == "damaged":
                note(f"{home} is damaged ({', '.join(damaged(home))}) and made again")
            if runtime.world.first(lambda: status != "finished"):
                self._make(stage, runtime, watch)

    def _make(self, stage: Stage, runtime: Runtime, watch: Watch) -> None:
        home = self.home(stage)
        with replacing(home / "stage.json") as part:
            part.write_text(json.dumps(stage.fields(), indent=1) + "\n")
        with replacing(self.artifact(stage)) as unfinished:
            unfinished.mkdir()
            with _Clock(home / "seconds.json").running(), memory_for(stage):
                stage.run(self.workspace(stage, unfinished, runtime, watch))
            seal(home, unfinished)

    def workspace(self, stage: Stage, artifact: Path, runtime: Runtime, watch: Watch) -> Workspace:
        """What a stage may use that leaves its artifact there."""
        return Workspace(
            folder=self.home(stage),
            artifact=artifact,
            cache=self.cache,
            inputs=self.artifact,
            runtime=runtime,
            progress=lambda done, total: watch(stage, done, total),
        )


def status_of(home: Path) -> Status:
    """How far the stage in a folder of a store is."""
    if (home / "artifact").is_dir():
        return "damaged" if any(map(spoils_the_artifact, damaged(home))) else "finished"
    return "partial" if (home / "state").is_dir() else "missing"


@contextmanager
def alone(home: Path, wait: bool = True) -> Iterator[None]:
    """Nobody else works on a stage while the context lasts: who does is waited for, or `OutputError` is raised.

    The lock is the operating system's, which takes it from a process that is killed.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise OutputError(f"{home} is being made by a run that is going on; wait for it") from None
        note(f"{home} is being made by another run; this one waits for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def memory_for(stage: Stage) -> Iterator[None]:
    """Raise `OutOfMemory` where the stage's work finds no memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        schedule = getattr(stage, "schedule", None)
        raise OutOfMemory(f"{stage.address} needs more memory", getattr(schedule, "batch_size", 1)) from error


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
    errno.EIO: "the disk reports an error; see to it, or choose another --out",
    errno.ESTALE: "the network's disk is gone; see to it, or choose another --out",
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
