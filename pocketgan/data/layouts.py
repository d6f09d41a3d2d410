"""Which images of a folder form pairs, and to which split each pair belongs.

Four layouts are recognised, in this order:

    trainA/ trainB/ [valA/ valB/] [testA/ testB/]     two folders a split, partners share a name
    train/ [val/] [test/]                             A is the left half of each image, B the right
    A/ B/ [split.csv]                                 two folders, partners share a name
    *.png [split.csv]                                 A is the left half of each image, B the right

Every layout ends in three splits: `train`; `select`, on which choices are made; and `test`, on which results
are reported and nothing is ever chosen. `val` is `select`, or `test` where there is no test folder. What is
missing is held out of train: every fifth pair for test, then every eighth of the rest for select, in the
order of the SHA-256 of the names, so that a split depends on nothing but the names.
"""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pocketgan.data.images import list_folder, list_images, read_bytes
from pocketgan.errors import DataError

Split = Literal["train", "select", "test"]
Kind = Literal["aligned", "folders"]

SPLITS: tuple[Split, ...] = ("train", "select", "test")
KNOWN = (
    "train/ val/ test/ with A and B side by side in each image, trainA/ trainB/ testA/ testB/, A/ B/, "
    "or one folder of side-by-side images"
)
_HELD_OUT = {"test": (5, "every fifth"), "select": (8, "every eighth")}


class Pair(NamedTuple):
    """One source and target. In an aligned layout both paths are the same file."""

    name: str
    path_a: Path
    path_b: Path


Splits = dict[Split, list[Pair]]


@dataclass(frozen=True)
class Layout:
    """The pairs of a folder by split, each split sorted by name, none empty.

    Attributes:
        kind: "aligned" (A and B are the halves of one image) or "folders" (two files).
        splits: the pairs of each split.
        origins: where each split comes from, in words.
        split_file: the split.csv that was obeyed, if any.
    """

    kind: Kind
    splits: Splits
    origins: dict[Split, str]
    split_file: Path | None = None

    @property
    def note(self) -> str:
        """Such as `train 70 (train/), select 10 (val/), test 20 (every fifth pair, held out)`."""
        return ", ".join(f"{split} {len(self.splits[split])} ({self.origins[split]})" for split in SPLITS)

    def files(self) -> list[Path]:
        """Every file that decides what is learnt, each once."""
        images = {path for pairs in self.splits.values() for pair in pairs for path in pair[1:]}
        return sorted(images | ({self.split_file} if self.split_file else set()))


def read_layout(root: Path) -> Layout:
    """Recognise the layout of a folder from its names; no file but split.csv is opened.

    Raises:
        DataError: the folder is missing, empty or of no known layout; a partner is missing; two images of a
            folder share a name; split.csv cannot be used; too few pairs.
    """
    if not root.is_dir():
        raise DataError(f"the data must be a folder of images; there is no folder {root}")
    folders = {path.name for path in list_folder(root) if path.is_dir()}
    if folders & {"trainA", "trainB"}:
        kind: Kind = "folders"
        origin = "{0}A/ and {0}B/"
        found = {
            name: _partners(root / f"{name}A", root / f"{name}B")
            for name in ("train", "val", "test")
            if folders & {f"{name}A", f"{name}B"}
        }
    elif "train" in folders:
        kind, origin = "aligned", "{0}/"
        found = {name: _halves(root / name) for name in ("train", "val", "test") if name in folders}
    elif folders & {"A", "B"}:
        return _one_set(root, "folders", _partners(root / "A", root / "B"))
    elif list_images(root):
        return _one_set(root, "aligned", _halves(root))
    else:
        raise DataError(f"{root} has none of the layouts that are known: {KNOWN}")
    role: dict[str, Split] = {"train": "train", "test": "test"}
    role["val"] = "select" if "test" in found else "test"
    splits = {role[name]: pairs for name, pairs in found.items()}
    return _completed(root, kind, splits, {role[name]: origin.format(name) for name in found})


def _one_set(root: Path, kind: Kind, pairs: list[Pair]) -> Layout:
    """A layout without split folders: obey split.csv, or split by the names."""
    table = root / "split.csv"
    if not table.exists():
        return _completed(root, kind, {"train": pairs}, {"train": "the rest"})
    splits = _read_splits(table, pairs)
    return _completed(root, kind, splits, dict.fromkeys(splits, "split.csv"), table)


def _completed(
    root: Path,
    kind: Kind,
    splits: Splits,
    origins: dict[Split, str],
    table: Path | None = None,
) -> Layout:
    """Hold the missing splits out of train."""
    for split in ("test", "select"):
        if split not in splits:
            step, words = _HELD_OUT[split]
            ranked = sorted(splits["train"], key=lambda pair: hashlib.sha256(pair.name.encode()).digest())
            splits[split] = sorted(ranked[::step])
            splits["train"] = sorted(set(ranked) - set(splits[split]))
            origins[split] = f"{words} pair, held out"
    if not splits["train"]:
        raise DataError(f"{root} leaves no pair to train on beside select and test; add training images")
    return Layout(kind, splits, origins, table)


def _halves(folder: Path) -> list[Pair]:
    return [Pair(name, path, path) for name, path in _by_name(folder).items()]


def _partners(folder_a: Path, folder_b: Path) -> list[Pair]:
    images_a, images_b = _by_name(folder_a), _by_name(folder_b)
    for images, others, folder in ((images_a, images_b, folder_b), (images_b, images_a, folder_a)):
        if lonely := [path for name, path in images.items() if name not in others]:
            more = f" (nor have {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            raise DataError(f"{lonely[0]} has no partner in {folder}{more}; add it or remove the file")
    return [Pair(name, path, images_b[name]) for name, path in images_a.items()]


def _by_name(folder: Path) -> dict[str, Path]:
    """The images of a folder by their name without suffix."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; add it: A needs B and B needs A")
    named: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in named:
            raise DataError(f"{named[path.stem]} and {path.name} share a name; rename or remove one of them")
        named[path.stem] = path
    if not named:
        raise DataError(f"the folder {folder} holds no images; add some or remove it")
    return dict(sorted(named.items()))


def _read_splits(table: Path, pairs: Iterable[Pair]) -> Splits:
    """The pairs by the split that split.csv (UTF-8, columns `id` and `split`, others ignored) gives each."""
    try:
        reader = csv.DictReader(read_bytes(table).decode("utf-8-sig").splitlines(), strict=True)
        if not {"id", "split"} <= set(reader.fieldnames or ()):
            raise csv.Error("columns are missing")
        rows = [(reader.line_num, row["id"], row["split"] or "") for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is not a CSV file with the columns id,split; mend or remove it") from error
    waiting = {pair.name: pair for pair in pairs}
    splits: Splits = {}
    for line, name, split in rows:
        if split not in SPLITS:
            raise DataError(f"{table} line {line}: split must be train, select or test, not '{split}'; mend it")
        if name not in waiting:
            raise DataError(f"{table} line {line}: '{name}' is no image here or is listed twice; remove it")
        splits.setdefault(split, []).append(waiting.pop(name))
    if waiting:
        raise DataError(f"{table} has no line for '{min(waiting)}'; add one or remove the image")
    if "train" not in splits:
        raise DataError(f"{table} puts no image into train; mend its column split")
    return {split: sorted(members) for split, members in splits.items()}
