"""What lies in a store, whether it is whole, and what may go."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pocketgan.files import is_sealed
from pocketgan.pipeline.manifest import damaged, spoils_the_artifact
from pocketgan.pipeline.store import Status, Store, alone, status_of, writing


class Kept(NamedTuple):
    """A stage in a store: its address, how far it is, its bytes, and which of its files are damaged."""

    address: str
    status: Status
    size_bytes: int
    damaged: tuple[str, ...]


def kept(store: Store) -> list[Kept]:
    """Every stage in a store, by address."""
    homes = sorted(path for path in store.folder.glob("*-*") if path.is_dir())
    return [Kept(home.name, status_of(home), _size(home), damaged(home)) for home in homes]


def damaged_images(store: Store) -> list[Path]:
    """The files of decoded images that are not what they were."""
    return [path for path in sorted(store.cache.glob("*.npy")) if not is_sealed(path)]


def prune(store: Store, needed: Collection[str] | None) -> tuple[list[str], int]:
    """Remove what is damaged, what killed processes left, and the stages that are not among `needed`, the addresses
    of those that stay; None: all. Returns what was removed, and its bytes.

    Raises `OutputError`, and removes nothing, where one of them is being made just now or cannot be removed.
    """
    goes = list(_of_no_use(store, needed))
    freed = sum(map(_size, goes))
    with writing(store.folder), ExitStack() as stack:
        for home in sorted({store.folder / path.relative_to(store.folder).parts[0] for path in goes}):
            if home.is_dir() and home != store.cache:
                stack.enter_context(alone(home, wait=False))
        for path in goes:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return [path.relative_to(store.folder).as_posix() for path in goes], freed


def _of_no_use(store: Store, needed: Collection[str] | None) -> Iterator[Path]:
    for each in kept(store):
        home = store.folder / each.address
        if needed is not None and each.address not in needed:
            yield home
        elif each.status == "damaged":
            yield home / "artifact"
        else:
            yield from (home / name for name in each.damaged if not spoils_the_artifact(name))
            yield from home.glob(".*.part")
    yield from damaged_images(store)
    yield from store.cache.glob(".*.part")


def _size(path: Path) -> int:
    return sum(item.stat().st_size for item in (path, *path.rglob("*")) if item.is_file())
