"""The layouts of label maps: which folders of a data set hold labels, instances and images.

    gtFine/{train,val}/CITY/ leftImg8bit/{train,val}/CITY/          Cityscapes as it is published
    train_label/ train_img/ train_inst/ val_label/ ...              COCO-Stuff as SPADE prepares it
    {train,val,test}_label/ {train,val,test}_image/ [..._inst/]     any other set, split
    label/ image/ [inst/] [split.csv]                               any other set

`label` may also be `labels`; `image` may be `images`, `img` or `photo`. Partners share a name, or
their names differ in what all of a folder begin or end with: `*_label` and `*_photo`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pocketgan.data.images import list_folder
from pocketgan.data.labels import CITYSCAPES, COCO, LabelMaps
from pocketgan.data.partners import matching, partners
from pocketgan.data.samples import Domains, Sample, by_name, check_partners, named_images
from pocketgan.errors import DataError

LABELS = ("label", "labels")
IMAGES = ("image", "images", "img", "photo")
INSTANCES = ("inst",)
PALETTES = ("palette.txt", "palette.csv")
_NEEDED = "label maps need their images, and instances their label maps"
_PARTS = ("leftImg8bit", "gtFine_labelIds", "gtFine_instanceIds")


class LabelFolders(NamedTuple):
    """What was found.

    Attributes:
        found: the samples under "train", "val", "test", or under "" where the folder is one set.
        origin: where a split lies, with {0} for its name.
        published: what the labels of a published set are.
        palette: the file that says which colours mean which labels, if there is one.
    """

    found: dict[str, Domains]
    origin: str
    published: LabelMaps | None
    palette: Path | None


def find_labels(root: Path, folders: set[str]) -> LabelFolders | None:
    """The label maps of a data folder that holds these folders; None where it is of another kind."""
    if folders & {"gtFine", "leftImg8bit"}:
        # the labels of Cityscapes' own test images are kept secret: the published ones are blank
        found = {split: _cityscapes(root, split) for split in ("train", "val")}
        return LabelFolders(found, "gtFine/{0}/", CITYSCAPES, None)
    prefixes = [""] if folders & {*LABELS, *INSTANCES} else ["train_", "val_", "test_"]
    kinds = {
        prefix: [_present(root, folders, prefix, kind) for kind in (LABELS, IMAGES, INSTANCES)]
        for prefix in prefixes
    }
    kinds = {prefix: kind for prefix, kind in kinds.items() if kind[0] or kind[2]}
    if prefixes[0] not in kinds:
        return None
    used = list(kinds.values())
    if any(bool(kind[2]) != bool(used[0][2]) for kind in used):
        lacking = next(prefix for prefix, kind in kinds.items() if not kind[2])
        raise DataError(
            f"there is no folder {root / lacking}inst; add it, or remove the other folders of instances"
        )
    coco = all(kind == [f"{prefix}label", f"{prefix}img", f"{prefix}inst"] for prefix, kind in kinds.items())
    palette = next((root / name for name in PALETTES if (root / name).is_file()), None)
    found = {prefix.rstrip("_"): _set(root, prefix, *kind) for prefix, kind in kinds.items()}
    return LabelFolders(found, "{0}_label/", COCO if coco and prefixes[0] else None, palette)


def _present(root: Path, folders: set[str], prefix: str, kinds: tuple[str, ...]) -> str | None:
    """The folder of a kind; a `DataError` where there are several."""
    names = [prefix + kind for kind in kinds if prefix + kind in folders]
    if len(names) > 1:
        raise DataError(f"{root / names[0]} and {root / names[1]} mean the same; remove or rename one of them")
    return names[0] if names else None


def _set(root: Path, prefix: str, labels: str | None, images: str | None, instances: str | None) -> Domains:
    folders = {"labels": root / (labels or f"{prefix}label"), "images": root / (images or f"{prefix}image")}
    maps, photos = (named_images(folder, _NEEDED) for folder in folders.values())
    photos = _partners(maps, photos, (folders["labels"], folders["images"]))
    if instances is None:
        return _domains(maps, photos, None)
    ids = named_images(root / instances, _NEEDED)
    return _domains(maps, photos, _partners(maps, ids, (folders["labels"], root / instances)))


def _partners(maps: dict[str, Path], others: dict[str, Path], folders: tuple[Path, Path]) -> dict[str, Path]:
    """The others by the names of their maps."""
    rule = matching([(maps, others)])
    if rule is None:
        check_partners(maps, others, folders)
        return others
    return {name: others[partner] for name, partner in partners(maps, others, rule).items()}


def _cityscapes(root: Path, split: str) -> Domains:
    folders = [root / "leftImg8bit" / split, root / "gtFine" / split]
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}; add it: Cityscapes is leftImg8bit/ and gtFine/")
    files = [
        path for folder in folders for city in list_folder(folder) if city.is_dir() for path in list_folder(city)
    ]
    photos, maps, ids = (by_name(_with_ending(files, f"_{part}.png")) for part in _PARTS)
    if not maps:
        raise DataError(f"the folder {folders[1]} holds no CITY/*_{_PARTS[1]}.png; add them or remove it")
    check_partners(maps, photos, (folders[1], folders[0]))
    check_partners(maps, ids, (folders[1], folders[1]))
    return _domains(maps, photos, ids)


def _with_ending(files: list[Path], ending: str) -> Iterator[tuple[str, Path]]:
    return ((path.name.removesuffix(ending), path) for path in files if path.name.endswith(ending))


def _domains(maps: dict[str, Path], photos: dict[str, Path], ids: dict[str, Path] | None) -> Domains:
    return Domains(
        [Sample(name, path, ids[name] if ids else None) for name, path in maps.items()],
        [Sample(name, photos[name]) for name in maps],
    )
