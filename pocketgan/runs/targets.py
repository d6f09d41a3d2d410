"""The targets of images that have none: the pictures that a finished teacher makes of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from pocketgan.data.images import list_images, no_images, read_bytes, resize
from pocketgan.data.inputs import digest_of_files
from pocketgan.data.inspection import check_room
from pocketgan.data.layouts import MADE
from pocketgan.data.raster import header_of, read_raster, save_raster
from pocketgan.data.samples import named_images
from pocketgan.data.splits import TABLE
from pocketgan.data.values import Range, Survey, Values, dtype_for
from pocketgan.deploy.translate import translate_images
from pocketgan.errors import DataError, PocketGANError, SpecError
from pocketgan.files import replacing
from pocketgan.models import Model
from pocketgan.pipeline.store import writing
from pocketgan.units import Size, size_text


@dataclass(frozen=True)
class Sources:
    """Images without targets, looked at.

    Attributes:
        folders: the images of each split by name; under "" those that are not divided.
        values: what they hold.
        table: the split.csv beside them, if there is one.
        digest: SHA-256 of the names and bytes of all, in hexadecimal.
    """

    root: Path
    folders: dict[str, list[Path]]
    values: Values
    table: Path | None
    digest: str


def open_sources(root: Path, size: Size, channels: int | None, range_: Range | None) -> Sources:
    """Look at every image of a folder, or of train/, val/ and test/ in it.

    Args:
        size: height and width that every image must have at least.
        channels, range_: of the images; default as the files have them.

    Raises `DataError` where there are none, one cannot be read, or does not fit.
    """
    if not root.is_dir():
        raise DataError(f"the data must be a folder of images; there is no folder {root}")
    splits = [name for name in ("train", "val", "test") if (root / name).is_dir()]
    folders = {name: list_images(root / name) for name in splits} if "train" in splits else {"": list_images(root)}
    for name, images in folders.items():
        if not images:
            raise no_images(root / name, "--targets teacher takes images alone: put them there")
        named_images(root / name, "two images of one name have one target")
    files = [path for images in folders.values() for path in images]
    survey, sizes, headers = Survey(), {}, {}
    for path in files:
        headers[path] = header = header_of(data := read_bytes(path), path)
        sizes[path] = header[:2]
        survey.add(header, read_raster(data, path) if header.deep else None, path)
    check_room(sizes, size)
    values = survey.values(channels, range_)
    for path, header in headers.items():
        if not values.accepts(header):
            raise DataError(f"{path} has {header.channels} channels, and the teacher takes {values.channels}")
    table = root / TABLE if "" in folders and (root / TABLE).is_file() else None
    told = [(name, digest_of_files(images)) for name, images in folders.items()]
    digest = json.dumps([told, table and table.read_text()])
    return Sources(root, folders, values, table, hashlib.sha256(digest.encode()).hexdigest())


def teacher_pairs(
    sources: Sources,
    teacher: Model,
    content: str,
    cache: Path,
    *,
    direction: str,
    load_size: Size | None,
    range_: Range | None,
    device: torch.device,
    progress: Callable[[int, int], None],
) -> tuple[Path, tuple[Values, Values]]:
    """A folder of pairs, and what the images of A and of B in it hold: the images as training sees them, and the
    teacher's pictures of these. Made once, an image at a time; what is there already is taken as it is.

    Args:
        content: the digest of the teacher.
        load_size: height and width that images are resized to; None: as they are.
        range_: black and white of the pictures; default 0 to 255, of images of more than 8 bits 0 to 65,535.

    Raises:
        SpecError: the teacher cannot take images of that size.
        DataError: a picture of it is not finite.
    """
    source, target = sources.values, _target(teacher, sources.values.learnt_deep, range_)
    seen = {name: own.model_dump(mode="json") for name, own in (("input", source), ("output", target))}
    teacher = teacher._replace(card={**teacher.card, **seen})
    if load_size and (fixed := getattr(teacher.spec, "fixed_size", None)) not in (None, load_size):
        sides = size_text(fixed)
        raise SpecError(
            f"the teacher takes images of {sides} pixels alone, and its pictures are made at the "
            f"{size_text(load_size)} of training; say --load-size {sides}"
        )
    facts = [content, sources.digest, load_size, direction, source.model_dump(), target.model_dump()]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    place, values = cache / f"pairs-{key}", {direction[0]: source, direction[-1]: target}
    count = sum(map(len, sources.folders.values()))
    new = [path for path in (place, *place.parents) if not path.exists()]
    with writing(cache):
        place.mkdir(parents=True, exist_ok=True)
    with writing(place), FileLock(place / ".lock"), _undone(new):
        if not (place / MADE).is_file():
            done = 0
            for name, images in sources.folders.items():
                given, made = (place / f"{name}{domain}" for domain in (direction[0], direction[-1]))
                given.mkdir(exist_ok=True)
                shown = {path: given / f"{path.stem}{source.suffix}" for path in images}
                for path, own in shown.items():
                    if not own.is_file():
                        _save(path, own, source, load_size)
                left = [own for own in shown.values() if not (made / f"{own.stem}{target.suffix}").is_file()]
                done += len(shown) - len(left)
                if left:
                    translate_images(
                        teacher,
                        left,
                        made,
                        progress=lambda own, _, before=done: progress(before + own, count),  # type: ignore[misc]
                        device=device,
                    )
                done += len(left)
            if sources.table:
                shutil.copyfile(sources.table, place / TABLE)
            at = f"at {size_text(load_size)} pixels" if load_size else "at the size of each image"
            note = f"pairs: the targets are the teacher's own pictures of {count} images, made {at}"
            with replacing(place / MADE) as part:
                part.write_text(json.dumps({"pairing": note, "images": str(sources.root.resolve())}) + "\n")
    return place, (values["A"], values["B"])


@contextmanager
def _undone(new: list[Path]) -> Iterator[None]:
    """Take these folders away where what is asked cannot be done."""
    try:
        yield
    except PocketGANError:
        for path in new[:1]:
            shutil.rmtree(path)
        for path in new[1:]:
            with suppress(OSError):  # others may have put something there
                path.rmdir()
        raise


def _target(teacher: Model, deep: bool, range_: Range | None) -> Values:
    """What the teacher's pictures hold."""
    if range_:
        low, high = range_
        return Values(channels=teacher.spec.out_channels, low=low, high=high, dtype=dtype_for(low, high))
    if deep and "output" not in teacher.card:
        return Values(channels=teacher.spec.out_channels, low=0, high=65535, dtype="uint16")
    return teacher.target


def _save(path: Path, out: Path, values: Values, size: Size | None) -> None:
    """An image as training sees it, in values of its kind."""
    pixels = values.pixels(read_raster(read_bytes(path), path, values.channels))
    pixels = resize(pixels, *size) if size else pixels
    seen = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max * 2 - 1
    save_raster(values.restored(seen), out)
