"""What the images of a folder are to each other, and to which split each belongs.

Recognised, in this order:

    label maps with their images                      see `pocketgan.data.label_folders`
    trainA/ trainB/ [valA/ valB/] [testA/ testB/]     two folders a split
    train/ [val/] [test/]                             A is the left half of each image, B the right
    A/ B/                                             two folders
    *.png                                             A is the left half of each image, B the right

Two folders are pairs where partners share a name, and unaligned, each domain for itself, where no name is in both.

Every layout ends in three splits: `train`; `select`, on which choices are made; and `test`, on which results
are reported and nothing is ever chosen. `val` is `select`, or `test` where there is no test folder. split.csv in
the data folder, if there is one, divides train (or all, where no folders are splits). What is then missing is held
out of train, of each domain for itself where there are no pairs: see `pocketgan.data.splits`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocketgan.data.images import list_folder, list_images
from pocketgan.data.label_folders import LabelFolders, find_labels
from pocketgan.data.labels import LabelMaps
from pocketgan.data.samples import SPLITS, Domains, Sample, Split, check_partners, named_images
from pocketgan.data.splits import HELD_OUT, TABLE, Assignment, hold_out, read_table
from pocketgan.errors import DataError

Kind = Literal["aligned", "folders", "unaligned", "labels"]

KNOWN = (
    "train/ val/ test/ with A and B side by side in each image, trainA/ trainB/ testA/ testB/, A/ B/, "
    "train_label/ train_image/ test_label/ test_image/, label/ image/, Cityscapes' gtFine/ leftImg8bit/, "
    "or one folder of side-by-side images"
)
_NEEDED = "A needs B and B needs A"


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
    """

    kind: Kind
    splits: dict[Split, Domains]
    origins: dict[Split, str]
    split_file: Path | None = None
    palette: Path | None = None
    published: LabelMaps | None = None

    @property
    def note(self) -> str:
        """Such as `train 70 (train/), select 10 (val/), test 20 (every fifth pair, held out)`."""
        return ", ".join(f"{split} {self._count(split)} ({self.origins[split]})" for split in SPLITS)

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
        unpaired: True takes two folders for unaligned even where names agree, False for pairs in any case.

    Raises:
        DataError: the folder is missing, empty or of no known layout; a partner is missing; two images of a
            folder share a name; split.csv cannot be used; too few images.
    """
    if not root.is_dir():
        raise DataError(f"the data must be a folder of images; there is no folder {root}")
    folders = {path.name for path in list_folder(root) if path.is_dir()}
    kind: Kind
    labels = find_labels(root, folders)
    if labels:
        kind, found, origin = "labels", labels.found, labels.origin
    elif folders & {"trainA", "trainB"}:
        names = [name for name in ("train", "val", "test") if folders & {f"{name}A", f"{name}B"}]
        kind, found = _two_folders({name: (root / f"{name}A", root / f"{name}B") for name in names}, unpaired)
        origin = "{0}A/ and {0}B/"
    elif "train" in folders:
        kind, origin = "aligned", "{0}/"
        found = {name: _halves(root / name) for name in ("train", "val", "test") if name in folders}
    elif folders & {"A", "B"}:
        kind, found = _two_folders({"": (root / "A", root / "B")}, unpaired)
        origin = ""
    elif list_images(root):
        kind, found, origin = "aligned", {"": _halves(root)}, ""
    else:
        raise DataError(f"{root} has none of the layouts that are known: {KNOWN}")
    if unpaired and kind != "unaligned":
        what = "label maps with their images" if labels else "A and B side by side in each image"
        raise DataError(
            f"--unpaired is for two folders, A/ B/ or trainA/ trainB/, and {root} has {what}; leave it out"
        )
    return _divided(root, kind, found, origin, labels)


def _divided(root: Path, kind: Kind, found: dict[str, Domains], origin: str, labels: LabelFolders | None) -> Layout:
    """The splits that folders give, and train divided by split.csv or by the names for those that are missing."""
    role: dict[str, Split] = {"": "train", "train": "train", "test": "test"}
    role["val"] = "select" if "test" in found else "test"
    splits = {role[name]: domains for name, domains in found.items()}
    origins = {role[name]: origin.format(name) if name else "the rest" for name in found}
    missing = [split for split in SPLITS if split not in splits]

    names = [[sample.name for sample in samples] for samples in splits["train"]]
    sets = {"A": names[0], "B": names[1]} if kind == "unaligned" else {"AB": names[0]}
    table = root / TABLE if (root / TABLE).exists() else None
    assignments: dict[str, Assignment] = {key: dict.fromkeys(own, "train") for key, own in sets.items()}
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
    samples = [Sample(name, path) for name, path in named_images(folder, _NEEDED).items()]
    return Domains(samples, samples)


def _two_folders(
    folders: dict[str, tuple[Path, Path]], unpaired: bool | None
) -> tuple[Literal["folders", "unaligned"], dict[str, Domains]]:
    """Pairs or not; what is meant is told by the names of all splits together."""
    images = {split: [named_images(folder, _NEEDED) for folder in both] for split, both in folders.items()}
    if unpaired is None:
        unpaired = not any(a.keys() & b.keys() for a, b in images.values())
    if not unpaired:
        for split, (a, b) in images.items():
            check_partners(a, b, folders[split], "or say --unpaired")
    domains = {
        split: Domains(*([Sample(name, path) for name, path in own.items()] for own in both))
        for split, both in images.items()
    }
    return "unaligned" if unpaired else "folders", domains
