"""Cityscapes from its two archives: the pairs of pix2pix, and the original folders for GauGAN."""

import csv
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from pocketgan.data.images import list_folder, read_rgb, resize
from pocketgan.errors import DataError
from pocketgan.prepare.folders import Progress, check_count, needed_root, save_jpeg, side_by_side, take
from pocketgan.prepare.sets import PublishedSet

SIDE = 256
#: the labels of the test images are kept secret
SPLITS = ("train", "val")
#: which file of the pairs shows which original, for scores that need the labels
TABLE = "originals.csv"


class _Street(NamedTuple):
    city: str
    name: str
    photo: Path
    truths: dict[str, Path]


def pix2pix_pairs(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    """{train,val}/N.jpg: photo on the left, colours of the labels on the right, both squeezed to 256x256.

    N counts from 0 in the order of the originals' paths. The 500 images of val/ are the test.

    Source: how mit-han-lab/gan-compression prepares them (bicubic, JPEG at quality 100 without subsampling).
    """
    rows = []
    for split in SPLITS:
        streets = _streets(originals, split, ("color",), published)
        for number, street in enumerate(streets):
            photo, colours = (
                Image.fromarray(resize(read_rgb(path), SIDE, SIDE))
                for path in (street.photo, street.truths["color"])
            )
            save_jpeg(side_by_side(photo, colours), result / split / f"{number}.jpg")
            rows.append((split, number, f"{street.city}/{street.name}"))
            progress(f"convert {split}", number + 1, len(streets))
    with (result / TABLE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("split", "id", "original"), *rows])


def original_folders(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    """gtFine/ and leftImg8bit/ with the label maps, instance maps and photos of train and val, complete."""
    for split in SPLITS:
        streets = _streets(originals, split, ("labelIds", "instanceIds"), published)
        for done, street in enumerate(streets, 1):
            take(street.photo, result / "leftImg8bit" / split / street.city / street.photo.name)
            for path in street.truths.values():
                take(path, result / "gtFine" / split / street.city / path.name)
            progress(f"convert {split}", done, len(streets))


def _streets(originals: Path, split: str, kinds: tuple[str, ...], published: PublishedSet) -> list[_Street]:
    """The photos of a split with their ground truths of these kinds, in the order of their paths."""
    photos = needed_root(originals, ("leftImg8bit",), published) / "leftImg8bit" / split
    truths = needed_root(originals, ("gtFine",), published) / "gtFine" / split
    streets = []
    for city in sorted(path for path in list_folder(photos) if path.is_dir()):
        for photo in sorted(city.glob("*_leftImg8bit.png")):
            name = photo.name.removesuffix("_leftImg8bit.png")
            paths = {kind: truths / city.name / f"{name}_gtFine_{kind}.png" for kind in kinds}
            if lacking := [path for path in paths.values() if not path.is_file()]:
                raise DataError(f"there is no {lacking[0]} for {photo}; unpack both archives again")
            streets.append(_Street(city.name, name, photo, paths))
    check_count(split, len(streets), published)
    return streets
