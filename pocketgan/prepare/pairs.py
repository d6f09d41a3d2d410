"""The sets of pix2pix and CycleGAN: pairs in one image, or two domains."""

import hashlib
from pathlib import Path

from PIL import Image

from pocketgan.data.images import list_images, read_rgb
from pocketgan.errors import DataError
from pocketgan.prepare.folders import (
    Progress,
    find_root,
    images_of,
    needed_root,
    save_jpeg,
    side_by_side,
    take,
)
from pocketgan.prepare.lists import papers_list, write_split
from pocketgan.prepare.sets import PublishedSet

DOMAINS = ("trainA", "trainB", "testA", "testB")
#: pairs that edges2shoes-r holds back for the test, and as many for the search
HELD = 2048


def aligned(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    """train/, val/ and test/ as they are; or those of CycleGAN's form, whose partners N_A and N_B are joined."""
    root = find_root(originals, ("train", "val"))
    if root is None:
        return _joined(originals, result, published, progress)
    for split in ("train", "val", "test"):
        if (root / split).is_dir():
            _take_all(images_of(root / split, published), result / split, progress)


def unaligned(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    """trainA/ trainB/ testA/ testB/ as they are."""
    root = needed_root(originals, DOMAINS, published)
    for name in DOMAINS:
        _take_all(images_of(root / name, published), result / name, progress)


def shoes(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    """edges2shoes, split again: `HELD` pairs in val/, which is the test, and `HELD` of train/ named to search on.

    Which pairs these are follows from the SHA-256 of their names; where GAN Compression's own edges2shoes-r is
    given (its val/ is as large as that), from its folders and its list.
    """
    places, select = _divided(originals, published)
    for done, (split, name, source) in enumerate(places, 1):
        take(source, result / split / f"{name}{source.suffix}")
        progress("convert", done, len(places))
    train = [name for split, name, _ in places if split == "train"]
    write_split(result, {"": train}, {"": select})


def shoes_unaligned(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    """The pairs of `shoes` cut into N_A and N_B: names that no layout takes for partners."""
    places, select = _divided(originals, published)
    for done, (split, name, source) in enumerate(places, 1):
        pixels = read_rgb(source)
        middle = pixels.shape[1] // 2
        folder = "test" if split == "val" else split
        for domain, half in {"A": pixels[:, :middle], "B": pixels[:, middle:]}.items():
            save_jpeg(Image.fromarray(half), result / f"{folder}{domain}" / f"{name}_{domain}.jpg")
        progress("convert", done, len(places))
    train = [name for split, name, _ in places if split == "train"]
    write_split(
        result,
        {domain: [f"{name}_{domain}" for name in train] for domain in "AB"},
        {domain: {f"{name}_{domain}" for name in select} for domain in "AB"},
    )


def _divided(originals: Path, published: PublishedSet) -> tuple[list[tuple[str, str, Path]], set[str]]:
    """The pairs as (folder they belong to, name, file), and the names of train that the search chooses on."""
    root = needed_root(originals, ("train", "val"), published)
    train = {path.stem: path for path in list_images(root / "train")}
    val = {path.stem: path for path in list_images(root / "val")}
    if len(train) + len(val) <= 2 * HELD:
        raise DataError(
            f"{published.name} needs more than {2 * HELD:,} pairs, {root} has {len(train) + len(val):,}; "
            "get the whole set"
        )
    select = papers_list("edges2shoes-r")
    if len(val) < HELD:
        # both folders count from 1
        pool = train | {f"val_{name}": path for name, path in val.items()}
        held = _ranked(pool)
        train, val = ({name: pool[name] for name in names} for names in (held[HELD:], held[:HELD]))
        select = set(_ranked(train)[:HELD])
    elif lacking := select - train.keys():
        raise DataError(f"{min(lacking)} is not in {root / 'train'}, as it is in edges2shoes-r; get the whole set")
    places = [(split, *pair) for split, own in {"train": train, "val": val}.items() for pair in own.items()]
    return places, select


def _ranked(names: dict[str, Path]) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def _joined(originals: Path, result: Path, published: PublishedSet, progress: Progress) -> None:
    root = needed_root(originals, DOMAINS, published)
    for split in ("train", "test"):
        sides = [
            {path.stem.removesuffix(f"_{domain}"): path for path in images_of(root / f"{split}{domain}", published)}
            for domain in "AB"
        ]
        if lonely := sides[0].keys() ^ sides[1].keys():
            raise DataError(f"{min(lonely)} of {root}/{split}A and {split}B has no partner; get the whole set")
        for done, name in enumerate(sides[0], 1):
            left, right = (Image.fromarray(read_rgb(side[name])) for side in sides)
            if left.size != right.size:
                raise DataError(f"{sides[0][name]} and its partner differ in size; get the whole set")
            save_jpeg(side_by_side(left, right), result / split / f"{name}.jpg")
            progress(f"convert {split}", done, len(sides[0]))


def _take_all(images: list[Path], folder: Path, progress: Progress) -> None:
    for done, path in enumerate(images, 1):
        take(path, folder / path.name)
        progress(f"convert {folder.name}", done, len(images))
