"""The task: which images, in which direction, at which size. A value; the images stay in their folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

from pocketgan.data.inspection import DomainSurvey, digest_of, inspected
from pocketgan.data.labels import LabelMaps
from pocketgan.data.layouts import Kind, Layout, read_layout
from pocketgan.data.samples import Domains, Split
from pocketgan.data.values import Range, Values
from pocketgan.errors import DataError, SpecError
from pocketgan.units import Size, both_sides, size_text

Direction = Literal["AtoB", "BtoA"]
_OPTIONS: dict[str, Any] = {"rotate": False, "centre": False, "a": Values(), "b": Values()}
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
        a, b: what the images of the two domains hold; `a` is not looked at where A are label maps.
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
    a: Values = Values()
    b: Values = Values()
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
        unused = {name for name, usual in _OPTIONS.items() if getattr(self, name) == usual}
        return {name: value for name, value in whole(self).items() if name not in unused}

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
        """Channels of what a generator is given: those of the images, or of the encoded label maps."""
        return self.labels.channels if self.labels else self.source.channels

    @property
    def out_channels(self) -> int:
        """Channels of what a generator makes."""
        return self.target.channels

    @property
    def source(self) -> Values:
        """What the images hold that a generator is given."""
        return self.a if self.direction == "AtoB" else self.b

    @property
    def target(self) -> Values:
        """What the images hold that it makes."""
        return self.b if self.direction == "AtoB" else self.a

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
    def values_note(self) -> str:
        """What the images hold, where it is not red, green and blue from 0 to 255."""
        if self.a == self.b == Values():
            return ""
        own = {"B": self.b} if self.labels else {"A": self.a, "B": self.b}
        return "; ".join(f"{name}: {values}" for name, values in own.items())

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

    def check_unchanged(self) -> None:
        """Raise `DataError` where the files are no longer those of `data_digest`."""
        if digest_of(self.root, self._layout()) != self.data_digest:
            raise DataError(
                f"the images in {self.root} changed while they were used; put them back as they were, or begin "
                "anew with another --out"
            )

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
    channels: tuple[int | None, int | None] = (None, None),
    ranges: Mapping[str, Range] = MappingProxyType({}),
    values: tuple[Values, Values] | None = None,
) -> Task:
    """Recognise and check a data folder. Reads every file once; decodes no pixels but label maps of unknown sets,
    and images of more than 8 bits, whose range it finds.

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
        channels: of the images of A and of B; default as the files have them.
        ranges: the values that are black and white, under "A", "B" or, for both, ""; default as found.
        values: what the images of A and of B hold, where that is known, as of a model.

    Raises:
        DataError: anything about the folder or its images that would fail later, but for damage inside the
            pixels and labels out of range, which `load_examples` finds.
        SpecError: `load_size` smaller than `size`, or beside `crop`; `direction` or `classes` that do not fit the
            layout; `rotate` where `size` is not square.
    """
    root, size = Path(root), both_sides(size)
    if crop and load_size is not None:
        raise SpecError("--crop takes images as they are, and --load-size resizes them; leave one of them out")
    layout = read_layout(root, unpaired)
    if classes is not None and layout.kind != "labels":
        raise SpecError(f"--classes is for label maps, and {root} has none; leave it out")
    if layout.kind != "labels":
        labels = None
    surveyed = DomainSurvey(layout, channels, ranges, values)
    digest, labels = inspected(root, layout, size, classes, labels, crop, surveyed)
    a, b = surveyed.result()
    return Task(
        root=root,
        layout=layout.kind,
        direction=direction,
        size=size,
        load_size=load_sides(size, load_size, crop),
        flip=flip,
        rotate=rotate,
        centre=centre or crop,
        labels=labels,
        a=a,
        b=b,
        data_digest=digest,
    )


def at_size(task: Task, size: Size) -> Task:
    """The same images at another size; those that were resized for training are so in the usual ratio to it.

    Raises as `open_task` does, for images that are smaller, gone or no longer as they were described.
    """
    return open_task(
        task.root,
        direction=task.direction,
        size=size,
        crop=task.load_size is None,
        centre=task.centre,
        flip=task.flip,
        rotate=task.rotate,
        unpaired=_forced(task.layout),
        labels=task.labels,
        values=(task.a, task.b),
    )


def load_sides(size: Size, load_size: int | Size | None, crop: bool) -> Size | None:
    """To what images are resized for training: as of `open_task`."""
    if crop:
        return None
    usual = round(size[0] * 286 / 256), round(size[1] * 286 / 256)
    return usual if load_size is None else both_sides(load_size)
