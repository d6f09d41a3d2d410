"""To which split the samples of a set belong: as split.csv says, or by their names."""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unicodedata import normalize

from pocketgan.data.images import read_bytes, readable
from pocketgan.data.samples import Sample, Split
from pocketgan.errors import DataError

TABLE = "split.csv"
HELD_OUT: dict[Split, tuple[int, str]] = {"test": (5, "every fifth"), "select": (8, "every eighth")}

#: for each name its split
Assignment = dict[str, Split]


def hold_out(assignment: Assignment, missing: Iterable[Split]) -> None:
    """Move names from train into the missing splits: every fifth into test, every eighth of the rest into select.

    The order is that of the SHA-256 of the names, so that a split depends on nothing but the names.
    """
    for split in HELD_OUT:
        if split in missing:
            train = [name for name, own in assignment.items() if own == "train"]
            ranked = sorted(train, key=lambda name: hashlib.sha256(name.encode()).digest())
            assignment.update(dict.fromkeys(ranked[:: HELD_OUT[split][0]], split))


def tells_domains(table: Path) -> bool:
    """Whether split.csv says of an image that it is of A or of B: then there are no pairs."""
    if not table.is_file():
        return False
    with suppress(UnicodeDecodeError, csv.Error):
        rows = csv.DictReader(read_bytes(table).decode("utf-8-sig").splitlines())
        return any(row.get("domain") for row in rows)
    return False


def read_table(table: Path, sets: dict[str, list[Sample]], allowed: Sequence[Split]) -> dict[str, Assignment]:
    """The assignments that split.csv makes: UTF-8, columns `id` and `split`, others ignored.

    An id is the name of a sample, or that of one of its files, with or without suffix.

    Args:
        sets: the samples to assign: under "AB" both of pairs, or under "A" and "B" those of two sets without pairs.
            There, a column `domain` (A or B) may say which image is meant; without it, all of that name are.
        allowed: the splits that may be named.
    """
    try:
        reader = csv.DictReader(read_bytes(table).decode("utf-8-sig").splitlines(), strict=True)
        if not {"id", "split"} <= set(reader.fieldnames or ()):
            raise csv.Error("columns are missing")
        rows: list[tuple[int, str, Any, str]] = [
            (reader.line_num, normalize("NFC", row["id"] or ""), row["split"] or "", row.get("domain") or "")
            for row in reader
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is not a CSV file with the columns id,split; mend or remove it") from error
    waiting = {domain: {sample.name for sample in samples} for domain, samples in sets.items()}
    ids: dict[str, dict[str, str]] = {domain: {} for domain in sets}
    for domain, samples in sets.items():
        for sample in samples:
            for name in (readable(sample.path.stem), readable(sample.path.name)):
                ids[domain].setdefault(name, sample.name)
        ids[domain] |= {name: name for name in waiting[domain]}
    found: dict[str, Assignment] = {domain: {} for domain in sets}
    for line, name, split, domain in rows:
        if split not in allowed:
            raise DataError(f"{table} line {line}: split must be {_either(allowed)}, not '{split}'; mend it")
        if domain not in ("", "A", "B") and len(sets) > 1:
            raise DataError(f"{table} line {line}: domain must be A or B, not '{domain}'; mend it")
        meant = [key for key in sets if len(sets) == 1 or domain in ("", key)]
        homes = [key for key in meant if ids[key].get(name) in waiting[key]]
        if not homes:
            raise DataError(f"{table} line {line}: '{name}' is no image here or is listed twice; remove it")
        for home in homes:
            found[home][ids[home][name]] = split
            waiting[home].remove(ids[home][name])
    if left := set().union(*waiting.values()):
        raise DataError(f"{table} has no line for '{min(left)}'; add one or remove the image")
    if not all("train" in assignment.values() for assignment in found.values()):
        raise DataError(f"{table} puts no image into train; mend its column split")
    return found


def _either(words: Sequence[str]) -> str:
    """'a', 'a or b', 'a, b or c'."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
