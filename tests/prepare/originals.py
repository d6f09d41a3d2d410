"""Small made-up originals in the layouts of the published sets."""

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pocketgan.prepare.sets import SETS, PublishedSet


def small(name: str, **changes: Any) -> PublishedSet:
    """A set of the table without the numbers and lists of the real one."""
    return SETS[name].model_copy(update={"counts": {}, "lists": False} | changes)


def picture(path: Path, colour: tuple[int, int, int] = (0, 0, 0), size: tuple[int, int] = (8, 4)) -> Path:
    """A file of one colour, `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def index_picture(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def domains(root: Path, counts: str = "3 4 2 1") -> Path:
    """trainA, trainB, testA, testB in a folder as of an archive of CycleGAN."""
    for folder, count in zip(("trainA", "trainB", "testA", "testB"), map(int, counts.split()), strict=True):
        for number in range(count):
            picture(root / folder / f"{folder[-1].lower()}{number}.png", (number, len(folder), 7))
    return root


def streets(root: Path, split: str, names: tuple[str, ...]) -> Path:
    """Cityscapes of these names: a red photo, blue label colours, label 7, instance 7001."""
    for name in names:
        city = name.split("_")[0]
        picture(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", (200, 0, 0), (64, 32))
        truth = root / "gtFine" / split / city / f"{name}_gtFine"
        picture(truth.with_name(f"{truth.name}_color.png"), (0, 0, 200), (64, 32))
        index_picture(truth.with_name(f"{truth.name}_labelIds.png"), np.full((32, 64), 7))
        instances = Image.fromarray(np.full((32, 64), 7001, np.uint16))
        instances.save(truth.with_name(f"{truth.name}_instanceIds.png"))
    return root


#: a triangle of COCO counts its pixels from 1; this one covers the rectangle 1..3 x 2..4 of an image counted from 0
SQUARE = [2.0, 3.0, 4.0, 3.0, 4.0, 5.0, 2.0, 5.0]


def coco(root: Path, year: str, names: tuple[str, ...]) -> Path:
    """COCO of these names: label 5 all over, annotated with a crowd, a square, and a second square below."""
    images, annotations = [], []
    for number, name in enumerate(names, 1):
        picture(root / "images" / year / f"{name}.jpg", (9, 9, 9), (8, 8))
        index_picture(root / "labels" / year / f"{name}.png", np.full((8, 8), 5))
        images.append({"id": number, "file_name": f"{name}.jpg"})
        crowd = {"counts": [0, 64], "size": [8, 8]}
        for shape in (crowd, [SQUARE], [[x + 3 for x in SQUARE]]):
            annotations.append({"image_id": number, "segmentation": shape, "iscrowd": int(shape is crowd)})
    file = root / "annotations" / f"instances_{year}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    return root


def zipped(folder: Path, name: str) -> bytes:
    """A zip archive of a folder, below `name`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{name}/{path.relative_to(folder)}")
    return content.getvalue()


def tarred(folder: Path, name: str) -> bytes:
    """A compressed tar archive of a folder, below `name`."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(folder, name)
    return content.getvalue()
