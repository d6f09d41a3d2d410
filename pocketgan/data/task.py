"""The task: which images, in which direction, at which size. A value; the images stay in their folder."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pocketgan.data.images import image_size, read_bytes
from pocketgan.data.layouts import Kind, Layout, Pair, Split, read_layout
from pocketgan.errors import DataError, SpecError

Direction = Literal["AtoB", "BtoA"]


class Task(BaseModel):
    """A paired image-to-image task. Make one with `open_task`.

    Two tasks on the same images are equal wherever the images lie: `root` counts neither in equality and hash
    nor in the JSON form. `Task.model_validate({**fields, "root": folder})` reads that form back.

    Attributes:
        root: the data folder.
        layout: "aligned" (A and B side by side in one image) or "folders" (two files).
        direction: which half is the source.
        size: side of the square training crop and of the evaluation image, pixels.
        load_size: side to which images are resized for training, before the random crop; at least `size`.
        flip: whether training mirrors every second pair at random.
        data_digest: SHA-256 of the names and bytes of the images (and of split.csv), in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(exclude=True)
    layout: Kind
    direction: Direction = "AtoB"
    size: int = Field(gt=0)
    load_size: int
    flip: bool = True
    data_digest: str

    @model_validator(mode="after")
    def _crop_fits(self) -> "Task":
        if self.load_size < self.size:
            raise SpecError(
                f"the load size {self.load_size} is smaller than the crop size {self.size}; "
                f"make it {self.size} or more"
            )
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def files(self, split: Split) -> list[Pair]:
        """The pairs of a split, sorted by name. `train` is without the pairs of `select` and `test`."""
        return read_layout(self.root).splits[split]

    @property
    def split_note(self) -> str:
        """How many pairs each split has and where it comes from, in one line."""
        return read_layout(self.root).note


def open_task(
    root: Path | str,
    *,
    direction: Direction = "AtoB",
    size: int = 256,
    load_size: int | None = None,
    flip: bool = True,
) -> Task:
    """Recognise and check a data folder. Reads every file once; decodes no pixels.

    Args:
        root: a folder in one of the layouts of `pocketgan.data.layouts`.
        load_size: default `round(size * 286 / 256)`, the ratio of pix2pix.

    Raises:
        DataError: anything about the folder or its images that would fail later, but for damage inside the
            pixels, which `load_pairs` finds.
        SpecError: `load_size` smaller than `size`.
    """
    root = Path(root)
    layout = read_layout(root)
    return Task(
        root=root,
        layout=layout.kind,
        direction=direction,
        size=size,
        load_size=round(size * 286 / 256) if load_size is None else load_size,
        flip=flip,
        data_digest=_checked_digest(root, layout, size),
    )


def _checked_digest(root: Path, layout: Layout, size: int) -> str:
    """Digest of all files, checking on the way that every pair is whole and large enough."""
    digest = hashlib.sha256()
    sizes: dict[Path, tuple[int, int]] = {}
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in layout.files()):
        data = read_bytes(path)
        digest.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
        if path != layout.split_file:
            sizes[path] = image_size(data, path)
    if layout.kind == "aligned":
        for path, (width, height) in sizes.items():
            if width % 2:
                raise DataError(f"{path} is {width} pixels wide; A beside B needs an even width: crop or remove it")
            sizes[path] = (width // 2, height)
    for pairs in layout.splits.values():
        for _, a, b in pairs:
            if sizes[a] != sizes[b]:
                raise DataError(
                    f"{a} is {_times(sizes[a])} but {b} is {_times(sizes[b])}; "
                    "make both images of a pair equally large"
                )
    # Naming the smallest image of all lets one remedy suffice.
    smallest = min(sizes, key=lambda path: min(sizes[path]))
    if (side := min(sizes[smallest])) < size:
        what = "each half of " if layout.kind == "aligned" else ""
        raise DataError(
            f"{what}{smallest} is {_times(sizes[smallest])}, smaller than the size {size}; "
            f"pass --size {side} or less, or remove the image"
        )
    return digest.hexdigest()


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
