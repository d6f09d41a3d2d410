"""Folders of originals: found below what was unpacked or given, counted, and taken over."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from pocketgan.data.images import list_folder, list_images
from pocketgan.errors import DataError
from pocketgan.prepare.sets import PublishedSet

Progress = Callable[[str, int, int], None]
#: how many folders deep the originals may lie
DEPTH = 3


def find_root(place: Path, names: Iterable[str]) -> Path | None:
    """The uppermost folder, `place` itself included, that holds all these folders."""
    level = [place]
    for _ in range(DEPTH + 1):
        for folder in level:
            if all((folder / name).is_dir() for name in names):
                return folder
        level = [path for folder in level for path in sorted(list_folder(folder)) if path.is_dir()]
    return None


def needed_root(place: Path, names: Iterable[str], published: PublishedSet) -> Path:
    """As `find_root`; a `DataError` where there is none."""
    root = find_root(place, names)
    if root is None:
        raise DataError(
            f"{published.name} needs the folders {'/ '.join(names)}/, which are not in the archive or folder; "
            f"give all of {', '.join(archive.file for archive in published.archives)} with --from"
        )
    return root


def images_of(folder: Path, published: PublishedSet) -> list[Path]:
    """The images of a folder, as many as the published set has."""
    images = list_images(folder)
    check_count(folder.name, len(images), published)
    return images


def check_count(name: str, found: int, published: PublishedSet) -> None:
    whole = published.counts.get(name, found)
    if found != whole:
        raise DataError(
            f"{name}/ of {published.name} has {found:,} images, the published set {whole:,}; get the whole set"
        )


def take(source: Path, target: Path) -> None:
    """Put a file at another place as it is: a hard link on the same disk, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def save_jpeg(image: Image.Image, target: Path) -> None:
    """As good as JPEG can: quality 100, colours in full resolution."""
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save(target, format="JPEG", quality=100, subsampling=0)


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """A and B as the halves of one image."""
    joined = Image.new("RGB", (left.width + right.width, left.height))
    joined.paste(left, (0, 0))
    joined.paste(right, (left.width, 0))
    return joined
