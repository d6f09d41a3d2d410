"""Whose a run folder is: one recipe's, as its `recipe.json` says, and one process's at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from pocketgan.errors import OutputError
from pocketgan.files import replacing
from pocketgan.pipeline.store import REASONS, writing

#: where a run folder says whose it is, and where its store is
MARK = "recipe.json"
STAGES = "stages"
#: the first of what a run makes of its stages, which may be kept elsewhere
EXPORT = "export"


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
            held = (*stages.glob("*/artifact"), *stages.glob("*/state"), *folder.glob(EXPORT))
            if new and not held:
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
            found = read_mark(mark)
            digest, name, recipe = found["digest"], found["name"], found.get("recipe")
            if digest != owner.digest and not _but_for_the_metric(recipe, owner.content.get("recipe")):
                why = (
                    f"was begun with other images than are in {owner.content.get('data')} now; put those back, "
                    if _but_for_the_images(recipe, owner.content.get("recipe"))
                    else f"belongs to another recipe ({name}, {digest[:12]}; this one is {owner.name}, "
                    f"{owner.digest[:12]}); "
                )
                raise OutputError(f"{folder} {why}choose another --out or remove it")
        else:
            check_free(folder)


def check_free(folder: Path) -> None:
    """Raise `OutputError` where a folder holds anything but a run, or is a file."""
    if folder.is_file():
        raise OutputError(f"{folder} cannot be written: {REASONS[errno.ENOTDIR]}")
    run = (folder / MARK).is_file() or any(folder.glob(f"{STAGES}/*/stage.json"))
    if folder.is_dir() and not run and any(_foreign(folder)):
        raise OutputError(f"{folder} is not empty and no run of PocketGAN; choose another --out")


def _but_for_the_images(first: Any, second: Any) -> bool:
    """Whether two recipes, as JSON, differ by what the images hold, and by nothing else."""
    if not (first and second):
        return False
    one, other = (
        {**each, "stages": None, "task": {**each["task"], "data_digest": None}} for each in (first, second)
    )
    return one == other and first["task"] != second["task"]


def _foreign(folder: Path) -> Iterator[Path]:
    """What in a folder is none of ours; before a run there may be pictures that a teacher made for it."""
    for item in folder.iterdir():
        images = item.name == STAGES and item.is_dir() and {each.name for each in item.iterdir()} == {"cache"}
        if not images and item.name != ".lock" and item.suffix != ".part":
            yield item


def _but_for_the_metric(first: Any, second: Any) -> bool:
    """Whether two recipes, as JSON, differ by the score that chooses, and by nothing that a user said beside it."""
    said = ("name", "method", "task", "budget", "seed", "roles")
    alike = first and second and all(first.get(name) == second.get(name) for name in said)
    return bool(alike) and first.get("metric") != second.get("metric")


def read_mark(mark: Path) -> dict[str, Any]:
    """What was written down of a run folder. Raises `OutputError` where it is damaged."""
    try:
        found = json.loads(mark.read_text())
        sha256 = found.pop("sha256", None)  # those of earlier versions have none
        if not (found["digest"] and found["name"]) or sha256 not in (None, _sha256(found)):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise OutputError(
            f"{mark} is damaged; remove it and run the same command again, which takes finished stages as they "
            "are, or choose another --out"
        ) from None
    return found


def _mark(folder: Path, owner: Owner) -> None:
    """Write down whose the folder is."""
    content = {"name": owner.name, "digest": owner.digest, **owner.content}
    with replacing(folder / MARK) as part:
        part.write_text(json.dumps({**content, "sha256": _sha256(content)}) + "\n")


def _sha256(content: dict[str, Any]) -> str:
    """Of all but the places, which a user may mend by hand."""
    lasting = {name: value for name, value in content.items() if name not in ("data", "unlabelled", "store")}
    return hashlib.sha256(json.dumps(lasting).encode()).hexdigest()


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
