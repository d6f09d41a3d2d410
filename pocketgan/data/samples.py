"""Samples: the images of a folder by name, and which of two folders belong together."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pocketgan.data.images import list_images, no_images, readable
from pocketgan.errors import DataError

Split = Literal["train", "select", "test"]
SPLITS: tuple[Split, ...] = ("train", "select", "test")


class Sample(NamedTuple):
    """One image of a domain; or one label map, with its map of instances where there is one."""

    name: str
    path: Path
    instances: Path | None = None


class Domains(NamedTuple):
    """The samples of domain A and of domain B, each sorted by name. Of pairs, both have the same names."""

    a: list[Sample]
    b: list[Sample]


def named_images(folder: Path, needed: str) -> dict[str, Path]:
    """The images of a folder by their name without suffix, sorted; `needed` says why it must be there."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; add it: {needed}")
    named = by_name((readable(path.stem), path) for path in list_images(folder))
    if not named:
        raise no_images(folder, "add some or remove it")
    return named


def by_name(images: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Paths by their names, sorted; a `DataError` where two share one."""
    named: dict[str, Path] = {}
    for name, path in images:
        if name in named:
            raise DataError(f"{named[name]} and {path.name} share a name; rename or remove one of them")
        named[name] = path
    return dict(sorted(named.items()))


def check_partners(
    first: Mapping[str, Path], second: Mapping[str, Path], folders: tuple[Path, Path], way_out: str = ""
) -> None:
    """Raise a `DataError` unless both hold the same names; `way_out` is what else one could do."""
    for images, others, folder in ((first, second, folders[1]), (second, first, folders[0])):
        if lonely := [path for name, path in images.items() if name not in others]:
            more = f" (nor have {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            remedy = f"add it, remove the file, {way_out}" if way_out else "add it or remove the file"
            raise DataError(f"{lonely[0]} has no partner in {folder}{more}; {remedy}")
