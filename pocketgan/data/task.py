"""The task: which images, in which direction, at which size. A value; the images stay in their folder."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

from pocketgan.data.images import image_size, read_bytes
from pocketgan.data.labels import DONT_CARE, LabelMaps, decode_map, label_maps, read_palette
from pocketgan.data.layouts import Kind, Layout, read_layout
from pocketgan.data.samples import Domains, Split
from pocketgan.errors import DataError, SpecError
from pocketgan.units import Size, both_sides, size_text

Direction = Literal["AtoB", "BtoA"]
_OPTIONS = ("rotate", "centre")
_Side = Annotated[int, Field(gt=0)]
_Size = Annotated[
    tuple[_Side, _Side], BeforeValidator(lambda value: (value, value) if isinstance(value, int) else value)
]


class Task(BaseModel):
    """An image-to-image task. Make one with `open_task`.

    Two tasks on the same images are equal wherever the images lie: `root` counts neither in equality and hash
    nor in the JSON form. `Task.model_validate({**fields, "root": folder})` reads that form back.

    Attributes:
        root: the data folder.
        layout: "aligned" (A and B side by side in one image), "folders" (two files), "unaligned" (two sets without
            pairs) or "labels" (A is a label map, B its image).
        direction: which domain is the source.
        size: height and width of the training crop and of the evaluation image, pixels.
        load_size: height and width to which images are resized for training, before the random crop; at least
            `size`. None: crops are cut from images as they are.
        flip: whether training mirrors every second sample at random.
        rotate: whether training turns samples by 0, 90, 180 or 270 degrees at random.
        centre: whether images are judged by the middle `size` of what training cuts its crops from; else whole,
            resized to `size`.
        labels: what the label maps hold; only of the layout "labels".
        data_digest: SHA-256 of the names and bytes of the images (and of split.csv), in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(exclude=True)
    layout: Kind
    direction: Direction = "AtoB"
    size: _Size
    load_size: _Size | None
    flip: bool = True
    rotate: bool = False
    centre: bool = False
    labels: LabelMaps | None = None
    data_digest: str

    @model_validator(mode="after")
    def _possible(self) -> "Task":
        size = size_text(self.size)
        if self.load_size and any(load < side for load, side in zip(self.load_size, self.size, strict=True)):
            raise SpecError(
                f"the load size {size_text(self.load_size)} is smaller than the crop size {size}; "
                f"make it {size} or more"
            )
        if self.rotate and self.size[0] != self.size[1]:
            raise SpecError(f"turning by 90 degrees needs a square, and the size is {size}; leave --rotate out")
        if (self.labels is None) == (self.layout == "labels"):
            raise ValueError("the layout 'labels', and no other, has labels")
        if self.labels and self.direction == "BtoA":
            raise SpecError("label maps become images, not images label maps; leave --direction BtoA out")
        return self

    @model_serializer(mode="wrap")
    def _brief(self, whole: Any) -> dict[str, Any]:
        """Without options that are not used: those which come later change no digest."""
        return {name: value for name, value in whole(self).items() if name not in _OPTIONS or value}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def paired(self) -> bool:
        """Whether each source has a target of its own."""
        return self.layout != "unaligned"

    @property
    def in_channels(self) -> int:
        """Channels of what a generator is given: 3, or those of the encoded label maps."""
        return self.labels.channels if self.labels else 3

    def files(self, split: Split) -> Domains:
        """The samples of a split, sorted by name. `train` is without those of `select` and `test`."""
        return self._layout().splits[split]

    def counts(self) -> dict[Split, int]:
        """For each split, how many sources it has."""
        source = 0 if self.direction == "AtoB" else 1
        return {split: len(domains[source]) for split, domains in self._layout().splits.items()}

    def epoch(self, splits: Iterable[Split] = ("train",)) -> int:
        """Samples in an epoch over these splits: pairs, or the images of the larger domain."""
        every = self._layout().splits
        return max(sum(len(every[split][domain]) for split in splits) for domain in (0, 1))

    @property
    def split_note(self) -> str:
        """How many samples each split has and where it comes from, in one line."""
        return self._layout().note

    @property
    def pairing_note(self) -> str:
        """Whether samples are pairs, and how that is known: `pairs by names like *_A and *_B`."""
        return self._layout().pairing

    @property
    def sight_note(self) -> str:
        """How training sees the images and on what they are judged, where that is not as usual."""
        size, more = size_text(self.size), []
        if self.centre:
            whole = f"images resized to {size_text(self.load_size)}" if self.load_size else "images as they are"
            more.append(f"random crops of {size} from {whole}, judged by their middle {size}")
        more += ["not mirrored"] if not self.flip else []
        more += ["turned by 90 degrees at random"] if self.rotate else []
        return ", ".join(more)

    @property
    def left_out(self) -> str:
        """Such as `2 broken links left out`; empty where nothing was."""
        return self._layout().left_out

    def _layout(self) -> Layout:
        return read_layout(self.root, _forced(self.layout))


def _forced(kind: Kind) -> bool | None:
    """What `read_layout` must be told to find the same kind again."""
    return {"unaligned": True, "folders": False}.get(kind)


def open_task(
    root: Path | str,
    *,
    direction: Direction = "AtoB",
    size: int | Size = 256,
    load_size: int | Size | None = None,
    crop: bool = False,
    centre: bool = False,
    flip: bool = True,
    rotate: bool = False,
    unpaired: bool | None = None,
    classes: int | None = None,
    labels: LabelMaps | None = None,
) -> Task:
    """Recognise and check a data folder. Reads every file once; decodes no pixels but label maps of unknown sets.

    Photos of label maps may be smaller than `size`, as in COCO; all other images may not.

    Args:
        root: a folder in one of the layouts of `pocketgan.data.layouts`.
        size: a side, or height and width.
        load_size: default `round(size * 286 / 256)`, the ratio of pix2pix.
        crop: cut crops from images as they are, in place of resizing them; `centre` follows.
        centre, flip, rotate: as of `Task`.
        unpaired: True takes two folders for unaligned, False for pairs; default by their names.
        classes: how many classes label maps have; default as published, else the largest label and 1.
        labels: what label maps hold, where that is known, as of a model; then they are not looked at.

    Raises:
        DataError: anything about the folder or its images that would fail later, but for damage inside the
            pixels and labels out of range, which `load_examples` finds.
        SpecError: `load_size` smaller than `size`, or beside `crop`; `direction` or `classes` that do not fit the
            layout; `rotate` where `size` is not square.
    """
    root, size = Path(root), both_sides(size)
    if crop and load_size is not None:
        raise SpecError("--crop takes images as they are, and --load-size resizes them; leave one of them out")
    default = (round(size[0] * 286 / 256), round(size[1] * 286 / 256))
    layout = read_layout(root, unpaired)
    if classes is not None and layout.kind != "labels":
        raise SpecError(f"--classes is for label maps, and {root} has none; leave it out")
    if layout.kind != "labels":
        labels = None
    digest, labels = _checked(root, layout, size, classes, labels, crop)
    return Task(
        root=root,
        layout=layout.kind,
        direction=direction,
        size=size,
        load_size=None if crop else default if load_size is None else both_sides(load_size),
        flip=flip,
        rotate=rotate,
        centre=centre or crop,
        labels=labels,
        data_digest=digest,
    )


def _checked(
    root: Path, layout: Layout, size: Size, classes: int | None, labels: LabelMaps | None, crop: bool
) -> tuple[str, LabelMaps | None]:
    """Digest of all files and what the labels are, checking on the way that the images fit and are large enough."""
    digest = hashlib.sha256()
    sizes: dict[Path, tuple[int, int]] = {}
    scan = _LabelScan(layout, labels)
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in layout.files()):
        data = read_bytes(path)
        digest.update(os.fsencode(f"{name}\0{hashlib.sha256(data).hexdigest()}\n"))
        if path not in (layout.split_file, layout.palette):
            sizes[path] = image_size(data, path)
            scan(data, path)
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
    return digest.hexdigest(), labels


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
