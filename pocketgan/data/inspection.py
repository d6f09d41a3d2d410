"""A look at every file of a data folder before anything is done: do the images fit, and what do they hold?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pocketgan.data.images import read_bytes
from pocketgan.data.labels import DONT_CARE, LabelMaps, decode_map, label_maps, read_palette
from pocketgan.data.layouts import Layout
from pocketgan.data.raster import Header, header_of, read_raster
from pocketgan.data.values import Range, Survey, Values
from pocketgan.errors import DataError
from pocketgan.files import file_sha256
from pocketgan.units import Size, size_text


def inspected(
    root: Path,
    layout: Layout,
    size: Size,
    classes: int | None,
    labels: LabelMaps | None,
    crop: bool,
    survey: DomainSurvey,
) -> tuple[str, LabelMaps | None]:
    """Digest of all files and what the labels are, checking on the way that the images fit and are large enough."""
    sizes: dict[Path, tuple[int, int]] = {}
    scan = _LabelScan(layout, labels)
    for path in _by_name(root, layout).values():
        data = read_bytes(path)
        if path not in (layout.split_file, layout.palette):
            header = header_of(data, path)
            sizes[path] = header[:2]
            scan(data, path)
            survey(header, data, path)
    if layout.kind == "aligned":
        for path, (width, height) in sizes.items():
            if width % 2:
                raise DataError(f"{path} is {width} pixels wide; A beside B needs an even width: crop or remove it")
            sizes[path] = (width // 2, height)
    if layout.kind != "unaligned":
        _check_pairs(layout, sizes)
    if layout.kind != "labels" or crop:
        check_room(sizes, size, "each half of " if layout.kind == "aligned" else "")
    if layout.kind == "labels" and labels is None:
        labels = scan.result(classes)
    elif labels and labels.instances != scan.instances:
        wants, has = ("some", "none") if labels.instances else ("none", "some")
        raise DataError(f"the model takes {wants} instance maps beside its label maps, and {root} has {has}")
    return digest_of(root, layout), labels


def digest_of(root: Path, layout: Layout) -> str:
    """SHA-256 of the names and bytes of all files, in hexadecimal. Those that did not change since the last call in
    this process are not read again."""
    digest = hashlib.sha256()
    for name, path in _by_name(root, layout).items():
        digest.update(os.fsencode(f"{name}\0{file_sha256(path)}\n"))
    return digest.hexdigest()


def _by_name(root: Path, layout: Layout) -> dict[str, Path]:
    return dict(sorted((path.relative_to(root).as_posix(), path) for path in layout.files()))


class DomainSurvey:
    """Looks at the images of both domains: what do they hold?"""

    def __init__(
        self,
        layout: Layout,
        channels: tuple[int | None, int | None],
        ranges: Mapping[str, Range],
        known: tuple[Values, Values] | None,
    ) -> None:
        self.channels, self.ranges, self.known = channels, ranges, known
        self.found = Survey(), Survey()
        self.headers: dict[Path, Header] = {}
        self.domains: dict[Path, set[int]] = {}
        for samples in layout.splits.values():
            for side in (1,) if layout.kind == "labels" else (0, 1):
                for sample in samples[side]:
                    self.domains.setdefault(sample.path, set()).add(side)

    def __call__(self, header: Header, data: bytes, path: Path) -> None:
        if path not in self.domains:
            return
        self.headers[path] = header
        raster = read_raster(data, path) if header.deep and self.known is None else None
        for side in self.domains[path]:
            self.found[side].add(header, raster, path)

    def result(self) -> tuple[Values, Values]:
        a, b = self.known or (self._values(0), self._values(1))
        for path, header in self.headers.items():
            for side in self.domains[path]:
                if not (wanted := (a, b)[side]).accepts(header):
                    raise DataError(
                        f"{path} has {header.channels} channels, and {wanted.channels} are needed; mend "
                        "or remove it"
                    )
        return a, b

    def _values(self, side: int) -> Values:
        name, own = "AB"[side], self.found[side]
        if not own.first:
            return Values()
        given = self.ranges.get(name)
        if given is None and "" in self.ranges and (own.deep or not any(each.deep for each in self.found)):
            given = self.ranges[""]
        return own.values(self.channels[side], given)


class _LabelScan:
    """Looks into the label maps of a set that is not published: which labels are there?"""

    def __init__(self, layout: Layout, labels: LabelMaps | None) -> None:
        known, every = labels or layout.published, layout.splits.values() if layout.kind == "labels" else ()
        self.paths = {sample.path for domains in every for sample in domains.a if not known}
        self.palette = read_palette(layout.palette) if layout.palette else None
        self.instances = any(sample.instances for domains in every for sample in domains.a)
        self.largest = known.classes - 1 if known else 0
        self.dont_care = known.dont_care if known else False
        #: the maps that hold each label, as many as are needed to tell a stray one: two
        self.maps: dict[int, list[Path]] = {}

    def __call__(self, data: bytes, path: Path) -> None:
        if path in self.paths:
            labels = decode_map(data, path, self.palette)
            classes = labels[labels != DONT_CARE]
            self.largest = max(self.largest, int(classes.max(initial=0)))
            for label in np.unique(classes).tolist():
                self.maps.setdefault(label, [])[2:] = [path]
            self.dont_care |= classes.size < labels.size

    def result(self, classes: int | None) -> LabelMaps:
        """Raises a `DataError` where the largest label is in one map alone and far above all others."""
        *others, largest = sorted(self.maps) or [0]
        below = max(others, default=largest)
        alone = len(self.paths) > 2 and len(self.maps.get(largest, [])) == 1
        if classes is None and alone and below + 1 < largest < DONT_CARE:
            raise DataError(
                f"{self.maps[largest][0]} alone holds the label {largest}, and all others are at most {below}; "
                f"mend the map, or say how many classes there are: --classes {largest + 1}"
            )
        return label_maps(self.largest, self.dont_care, self.instances, classes)


def _check_pairs(layout: Layout, sizes: dict[Path, tuple[int, int]]) -> None:
    """Raise unless whatever belongs together is equally large."""
    for domains in layout.splits.values():
        for a, b in zip(*domains, strict=True):
            for other, what in ((b.path, "both images of a pair"), (a.instances, "instances and labels")):
                if other and sizes[a.path] != sizes[other]:
                    raise DataError(
                        f"{a.path} is {_times(sizes[a.path])} but {other} is {_times(sizes[other])}; "
                        f"make {what} equally large"
                    )


def check_room(sizes: dict[Path, tuple[int, int]], size: Size, what: str = "") -> None:
    """Raise a `DataError` unless every image, (width, height), is as large as `size`, height and width.

    Naming the smallest of all lets one remedy suffice. `what` says before its name which part of it is meant.
    """
    smallest = min(sizes, key=lambda path: min(sizes[path][0] / size[1], sizes[path][1] / size[0]))
    width, height = sizes[smallest]
    if height >= size[0] and width >= size[1]:
        return
    if size[0] == size[1]:
        shown, fits, unit = _times(sizes[smallest]), str(min(height, width)), ""
    else:
        shown, fits = f"{height}x{width}", size_text((min(height, size[0]), min(width, size[1])))
        unit = " (height x width)"
    raise DataError(
        f"{what}{smallest} is {shown}, smaller than the size {size_text(size)}{unit}; "
        f"pass --size {fits} or less, or remove the image"
    )


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
