"""COCO-Stuff from its four archives: label maps, photos, and instance maps painted from the annotations."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw

from pocketgan.data.images import read_bytes
from pocketgan.data.labels import decode_map
from pocketgan.errors import DataError
from pocketgan.prepare.folders import Progress, check_count, needed_root, take
from pocketgan.prepare.sets import PublishedSet

Annotation = dict[str, Any]


def label_folders(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    """{train,val}_label/, {train,val}_img/ and {train,val}_inst/, all of one name for one picture."""
    for split in ("train", "val"):
        year = f"{split}2017"
        labels, photos = (_files(originals, year, suffix, published) for suffix in (".png", ".jpg"))
        if lonely := labels.keys() ^ photos.keys():
            raise DataError(f"{min(lonely)} of {year} has no label map or no photo; get all four archives whole")
        check_count(split, len(photos), published)
        annotations = _annotations(originals, year)
        for done, (name, label) in enumerate(sorted(labels.items()), 1):
            take(label, result / f"{split}_label" / f"{name}.png")
            take(photos[name], result / f"{split}_img" / f"{name}.jpg")
            instances = result / f"{split}_inst" / f"{name}.png"
            instances.parent.mkdir(exist_ok=True)
            numbers = paint_instances(decode_map(read_bytes(label), label), annotations[name])
            Image.fromarray(numbers).save(instances)
            progress(f"convert {split}", done, len(labels))


def paint_instances(
    labels: Integer[np.ndarray, "height width"], annotations: list[Annotation]
) -> UInt8[np.ndarray, "height width"]:
    """The label map with every annotated object painted over by its number, counted from 0 in the file's order.

    Objects are outlined by polygons [x0, y0, x1, y1, ...] whose pixels count from 1. A crowd (given as run lengths)
    is no single object: it keeps its label and takes no number.

    Source: how Park et al. (SPADE, CVPR 2019) prepare COCO-Stuff.
    """
    canvas = Image.fromarray(labels.astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    outlines = [own["segmentation"] for own in annotations if isinstance(own["segmentation"], list)]
    for number, polygons in enumerate(outlines):
        for polygon in polygons:
            points = [(x - 1, y - 1) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
            pen.polygon(points, fill=number % 256)
    return np.array(canvas)


def _files(originals: Path, year: str, suffix: str, published: PublishedSet) -> dict[str, Path]:
    """The files of a kind in the folders of a year, by name: photos and label maps lie in folders of one name."""
    needed_root(originals, (year,), published)
    return {path.stem: path for path in originals.rglob(f"{year}/*{suffix}")}


def _annotations(originals: Path, year: str) -> defaultdict[str, list[Annotation]]:
    """The annotations of every picture by its name."""
    file = next(originals.rglob(f"instances_{year}.json"), None)
    if file is None:
        raise DataError(f"there is no instances_{year}.json; give annotations_trainval2017.zip with --from, too")
    try:
        content = json.loads(read_bytes(file))
        names = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
        found: defaultdict[str, list[Annotation]] = defaultdict(list)
        for annotation in content["annotations"]:
            found[names[annotation["image_id"]]].append({"segmentation": annotation["segmentation"]})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is not a file of COCO annotations; get it again") from error
    return found
