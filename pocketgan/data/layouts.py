"""What the images of a folder are to each other, and to which split each belongs.

Recognised, in this order:

    label maps with their images                      see `pocketgan.data.label_folders`
    trainA/ trainB/ [valA/ valB/] [testA/ testB/]     two folders a split
    train/ [val/] [test/]                             A is the left half of each image, B the right
    A/ B/                                             two folders
    *.png                                             A is the left half of each image, B the right

Two folders are pairs where partners share a name, or where names differ in what all of a side begin or end with
(`*_A` and `*_B`); they are unaligned, each domain for itself, where no name is in both and their numbers differ.

Every layout ends in three splits: `train`; `select`, on which choices are made; and `test`, on which results
are reported and nothing is ever chosen. `val` is `select`, or `test` where there is no test folder. split.csv in
the data folder, if there is one, divides train (or all, where no folders are splits). What is then missing is held
out of train, of each domain for itself where there are no pairs: see `pocketgan.data.splits`.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pocketgan.data.images import broken_links, links_text, list_folder, list_images
from pocketgan.data.label_folders import LabelFolders, find_labels
from pocketgan.data.labels import LabelMaps
from pocketgan.data.partners import in_order, matching, partners
from pocketgan.data.samples import SPLITS, Domains, Sample, Split, check_partners, named_images
from pocketgan.data.splits import HELD_OUT, TABLE, Assignment, hold_out, read_table, tells_domains
from pocketgan.errors import DataError

Kind = Literal["aligned", "folders", "unaligned", "labels"]

KNOWN = (
    "train/ val/ test/ with A and B side by side in each image, trainA/ trainB/ testA/ testB/, A/ B/, "
    "train_label/ train_image/ test_label/ test_image/, label/ image/, Cityscapes' gtFine/ leftImg8bit/, "
    "or one folder of side-by-side images"
)
_NEEDED = "A needs B and B needs A"
#: says of a folder of pairs how its targets were made
MADE = "made.json"


@dataclass(frozen=True)
class Layout:
    """The samples of a folder by split and domain, each sorted by name, none empty.

    Attributes:
        kind: "aligned" (A and B are the halves of one image), "folders" (two files), "unaligned" (two sets without
            pairs) or "labels" (A is a label map).
        splits: the samples of each split.
        origins: where each split comes from, in words.
        split_file: the split.csv that was obeyed, if any.
        palette: the file that says which colours of label maps mean which labels, if any.
        published: what the labels of a published data set are.
        pairing: whether samples are pairs, and how that is known, in words.
    """

    kind: Kind
    splits: dict[Split, Domains]
    origins: dict[Split, str]
    split_file: Path | None = None
    palette: Path | None = None
    published: LabelMaps | None = None
    pairing: str = ""

    @property
    def note(self) -> str:
        """Such as `train 70 (train/), select 10 (val/), test 20 (every fifth pair, held out)`."""
        splits = ", ".join(f"{split} {self._count(split)} ({self.origins[split]})" for split in SPLITS)
        return "; ".join(filter(None, (splits, self.left_out)))

    @property
    def left_out(self) -> str:
        """Such as `2 broken links left out`; empty where nothing was."""
        broken = sum(map(broken_links, {path.parent for path in self.files()}))
        return f"{links_text(broken)} left out" if broken else ""

    def _count(self, split: Split) -> str:
        a, b = map(len, self.splits[split])
        return f"{a} A and {b} B" if self.kind == "unaligned" else str(a)

    def samples(self) -> list[Sample]:
        """Every sample of every split and domain."""
        return [sample for domains in self.splits.values() for samples in domains for sample in samples]

    def files(self) -> list[Path]:
        """Every file that decides what is learnt, each once."""
        images = {path for sample in self.samples() for path in sample[1:] if path}
        return sorted(images | {path for path in (self.split_file, self.palette) if path})


def read_layout(root: Path, unpaired: bool | None = None) -> Layout:
    """Recognise the layout of a folder from its names; no file but split.csv is opened.

    Args:
        unpaired: True takes two folders for unaligned even where names agree, False for pairs in any case: where
            no name is in both, in the order of their names.

    Raises:
        DataError: the folder is missing, empty or of no known layout; a partner is missing; two folders may be
            pairs or not; two images of a folder share a name; split.csv cannot be used; too few images.
    """
    if not root.is_dir():
        raise DataError(f"the data must be a folder of images; there is no folder {root}")
    folders = {path.name for path in list_folder(root) if path.is_dir()}
    kind: Kind
    pairing = "pairs: A and B side by side in each image"
    labels = find_labels(root, folders)
    if labels:
        kind, found, origin, pairing = "labels", labels.found, labels.origin, "pairs: label maps with their images"
    elif folders & {"trainA", "trainB"}:
        names = [name for name in ("train", "val", "test") if folders & {f"{name}A", f"{name}B"}]
        both = {name: (root / f"{name}A", root / f"{name}B") for name in names}
        kind, found, pairing = _two_folders(both, unpaired, root / TABLE)
        origin = "{0}A/ and {0}B/"
    elif "train" in folders:
        kind, origin = "aligned", "{0}/"
        found = {name: _halves(root / name) for name in ("train", "val", "test") if name in folders}
    elif folders & {"A", "B"}:
        kind, found, pairing = _two_folders({"": (root / "A", root / "B")}, unpaired, root / TABLE)
        origin = ""
    elif list_images(root):
        kind, found, origin = "aligned", {"": _halves(root)}, ""
    else:
        broken = f" (but {links_text(count)})" if (count := broken_links(root)) else ""
        raise DataError(f"{root} has none of the layouts that are known{broken}: {KNOWN}")
    if unpaired and kind != "unaligned":
        what = "label maps with their images" if labels else "A and B side by side in each image"
        raise DataError(
            f"--unpaired is for two folders, A/ B/ or trainA/ trainB/, and {root} has {what}; leave it out"
        )
    if (root / MADE).is_file():
        pairing = json.loads((root / MADE).read_text())["pairing"]
    return replace(_divided(root, kind, found, origin, labels), pairing=pairing)


def _divided(root: Path, kind: Kind, found: dict[str, Domains], origin: str, labels: LabelFolders | None) -> Layout:
    """The splits that folders give, and train divided by split.csv or by the names for those that are missing."""
    role: dict[str, Split] = {"": "train", "train": "train", "test": "test"}
    role["val"] = "select" if "test" in found else "test"
    splits = {role[name]: domains for name, domains in found.items()}
    origins = {role[name]: origin.format(name) if name else "the rest" for name in found}
    missing = [split for split in SPLITS if split not in splits]

    first, second = splits["train"]
    sets = {"A": first, "B": second} if kind == "unaligned" else {"AB": [*first, *second]}
    table = root / TABLE if (root / TABLE).exists() else None
    assignments: dict[str, Assignment] = {
        key: dict.fromkeys((sample.name for sample in samples), "train") for key, samples in sets.items()
    }
    if table:
        assignments = read_table(table, sets, ["train", *missing])
        for split in ("train", *missing):
            if any(split in assignment.values() for assignment in assignments.values()):
                origins[split] = TABLE
    for assignment in assignments.values():
        hold_out(assignment, [split for split in missing if split not in assignment.values()])
        if "train" not in assignment.values():
            what = "image" if kind == "unaligned" else "pair"
            raise DataError(f"{root} leaves no {what} to train on beside select and test; add training images")
    for split in missing:
        words = f"{HELD_OUT[split][1]} {'image' if kind == 'unaligned' else 'pair'}, held out"
        origins.setdefault(split, words)

    a, b = assignments.get("A", assignments.get("AB", {})), assignments.get("B", assignments.get("AB", {}))
    whole = splits["train"]
    for split in ("train", *missing):
        splits[split] = Domains(
            [sample for sample in whole.a if a[sample.name] == split],
            [sample for sample in whole.b if b[sample.name] == split],
        )
    return Layout(
        kind, splits, origins, table, labels.palette if labels else None, labels.published if labels else None
    )


def _halves(folder: Path) -> Domains:
    samples = _samples(named_images(folder, _NEEDED))
    return Domains(samples, samples)


def _two_folders(
    folders: dict[str, tuple[Path, Path]], unpaired: bool | None, table: Path
) -> tuple[Literal["folders", "unaligned"], dict[str, Domains], str]:
    """Pairs or not, and why: by the names of all splits together, unless split.csv tells domains apart."""
    images = {split: [named_images(folder, _NEEDED) for folder in both] for split, both in folders.items()}
    sides = [(a, b) for a, b in images.values()]
    rule = matching(sides)
    shared = any(a.keys() & b.keys() for a, b in sides)
    known = bool(rule) or shared
    as_many = all(len(a) == len(b) for a, b in sides)
    why = "as --unpaired says" if known else "because no name is in both"
    if unpaired is None and tells_domains(table):
        unpaired, why = True, f"as the domains in {TABLE} say"
    if unpaired is None and not known and as_many:
        ours, theirs = next(iter(folders.values()))
        raise DataError(
            f"{ours} and {theirs} hold as many images, and their names do not match; say --paired to pair them in "
            "the order of their names, or --unpaired"
        )
    if unpaired or (unpaired is None and not known):
        sets = {split: Domains(*(_samples(own) for own in both)) for split, both in images.items()}
        return "unaligned", sets, f"two sets without pairs, {why}"
    pairs = {}
    for split, (a, b) in images.items():
        if rule:
            found = partners(a, b, rule)
        elif as_many and not shared:
            found = dict(zip(in_order(a), in_order(b), strict=True))
        else:
            check_partners(a, b, folders[split], "or say --unpaired")
            found = dict(zip(a, a, strict=True))
        pairs[split] = Domains(_samples(a), _samples({name: b[found[name]] for name in a}))
    how = "in the order of their names, as --paired says"
    if rule:
        how = f"by names like {rule[0]} and {rule[1]}" if rule[0] != rule[1] else "by equal names"
    return "folders", pairs, f"pairs {how}"


def _samples(images: dict[str, Path]) -> list[Sample]:
    return [Sample(name, path) for name, path in images.items()]
