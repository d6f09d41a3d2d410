"""split.csv: which images of train the search chooses on."""

import csv
from collections.abc import Mapping, Set
from pathlib import Path

from pocketgan.data.images import list_images
from pocketgan.errors import DataError
from pocketgan.prepare.sets import PublishedSet

TABLE = "split.csv"
LISTS = Path(__file__).with_name("search_lists")


def write_papers_split(result: Path, published: PublishedSet) -> None:
    """split.csv with the images that GAN Compression's search chooses on, for sets that have such lists.

    The others train the supernet and, other than there, all networks: what chooses is never trained on.

    Source: the names in `datasets/metas/*/train2*.meta` of mit-han-lab/gan-compression.
    """
    if not published.lists:
        return
    domains = ("A", "B") if published.form == "unaligned" else ("",)
    folder = {"coco-stuff": "train_label", "cityscapes-originals": "leftImg8bit/train"}.get(published.form, "train")
    names = {domain: _names(result / f"{folder}{domain}", published) for domain in domains}
    select = {domain: papers_list(published.name, domain) for domain in domains}
    for domain, chosen in select.items():
        if lacking := chosen - set(names[domain]):
            raise DataError(
                f"{min(lacking)}, which the papers search on, is not among the training images of "
                f"{published.name}; get the whole set"
            )
    write_split(result, names, select)


def papers_list(name: str, domain: str = "") -> set[str]:
    """The names without suffix of the images that the papers search on."""
    return set((LISTS / f"{name}{domain and '-'}{domain}.txt").read_text(encoding="utf-8").split())


def write_split(result: Path, train: Mapping[str, list[str]], select: Mapping[str, Set[str]]) -> None:
    """split.csv for the names of train by domain: "A" and "B", or "" for pairs."""
    rows = [
        (name, "select" if name in select[domain] else "train", domain)
        for domain, names in train.items()
        for name in names
    ]
    with (result / TABLE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "split", "domain"), *rows])


def _names(folder: Path, published: PublishedSet) -> list[str]:
    if published.form != "cityscapes-originals":
        return [path.stem for path in list_images(folder)]
    return sorted(path.name.removesuffix("_leftImg8bit.png") for path in folder.glob("*/*_leftImg8bit.png"))
