"""The pixels of a split, decoded and resized once into one file a domain, then mapped into memory."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt, UInt8

from pocketgan.data.images import read_bytes, resize, resize_map, shown
from pocketgan.data.labels import LabelMaps, check_labels, coloured, decode_map, pack, read_palette
from pocketgan.data.layouts import read_layout
from pocketgan.data.packed import Packed
from pocketgan.data.ragged import Ragged
from pocketgan.data.raster import read_raster
from pocketgan.data.samples import Sample, Split
from pocketgan.data.task import Task
from pocketgan.data.values import Values
from pocketgan.errors import OutputError, note
from pocketgan.files import is_sealed, replacing
from pocketgan.units import Size, size_text

Progress = Callable[[int, int], None]
Pixels = UInt[np.ndarray, "height width channels"]


@dataclass(frozen=True, eq=False)
class Images:
    """The samples of one domain as pixels.

    Attributes:
        names: one a sample, in order.
        pixels: a read-only memory map: values as `Values.pixels` keeps them, in 8 or 16 bits, or label maps as
            `labels.pack` stores them. `Ragged` where each sample
            has a size of its own.
        labels: what the label maps hold, where these are label maps.
    """

    names: list[str]
    pixels: UInt[np.ndarray, "samples height width channels"] | Ragged
    labels: LabelMaps | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sides(self) -> Int64[np.ndarray, "samples 2"]:
        """Height and width of each."""
        if isinstance(self.pixels, Ragged):
            return self.pixels.sides
        return np.broadcast_to(np.array(self.pixels.shape[1:3]), (len(self), 2))

    def packed(self, chosen: slice) -> Packed:
        """Some of the samples, to be encoded where a network needs them."""
        return Packed(np.asarray(self.pixels[chosen]), self.labels)

    def pictures(self, chosen: slice | Sequence[int]) -> UInt8[np.ndarray, "batch height width 3"]:
        """Some of the samples for the eye, label maps in colours."""
        pixels = np.asarray(self.pixels[chosen])
        return coloured(pixels, self.labels) if self.labels else shown(pixels)


@dataclass(frozen=True, eq=False)
class Examples:
    """The sources and targets of a split. Of pairs, both have the same names in the same order."""

    sources: Images
    targets: Images
    paired: bool = True

    def __len__(self) -> int:
        """Samples in an epoch."""
        return max(len(self.sources), len(self.targets))


def load_examples(
    task: Task,
    splits: Split | tuple[Split, ...],
    cache_dir: Path,
    *,
    training: bool,
    progress: Progress | None = None,
) -> Examples:
    """The pixels of a split, or of several together: of `task.load_size` (None: of their own size) for training, of
    `task.size` else.

    The first call decodes and writes the cache (a byte a channel, two of values beyond 8 bits; label maps one a
    pixel, with instances three); later ones only map it. One cache serves both directions. A damaged one is
    written again.

    Args:
        cache_dir: made if missing; may be shared by any number of tasks and processes.
        progress: called with (samples done, samples in all) while decoding; a pair is one sample.

    Raises:
        DataError: an image is corrupt or truncated, or was changed since; a label is out of range.
        OutputError: the cache cannot be written.
    """
    splits = (splits,) if isinstance(splits, str) else splits
    size = task.load_size if training else task.size
    middle = task.centre and not training
    files = [task.files(split) for split in splits]
    a, b = ([sample for domains in files for sample in domains[side]] for side in (0, 1))
    load = partial(_load, task, "+".join(splits), size, middle, Path(cache_dir))
    if task.paired:
        pixels = load("AB", [a, b], progress)
    else:
        total = len(a) + len(b)
        first = partial(_shifted, progress, 0, total) if progress else None
        second = partial(_shifted, progress, len(a), total) if progress else None
        pixels = load("A", [a], first) + load("B", [b], second)
    of_a = Images([sample.name for sample in a], pixels[0], task.labels)
    of_b = Images([sample.name for sample in b], pixels[1])
    return Examples(of_a, of_b, task.paired) if task.direction == "AtoB" else Examples(of_b, of_a, task.paired)


def _shifted(progress: Progress, before: int, total: int, done: int, own: int) -> None:
    progress(before + done, total)


def _load(
    task: Task,
    what: str,
    size: Size | None,
    middle: bool,
    folder: Path,
    domains: str,
    samples: list[list[Sample]],
    progress: Progress | None,
) -> list[Any]:
    """The mapped pixels of domains whose samples are decoded side by side."""
    names = [sample.name for sample in samples[0]]
    labels = task.labels.model_dump() if task.labels else None
    values = {"A": task.a, "B": task.b}
    content = [task.data_digest, what, size, labels, names, *([task.load_size] if middle else [])]
    content += [own.model_dump() for own in values.values() if own != Values()]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    shown = size_text(size) if size else "own"
    paths = [folder / f"{what}-{domain}-{shown}-{key}.npy" for domain in domains]
    forms = [
        Form((len(names), *(size or ()), task.labels.bytes))
        if task.labels and domain == "A"
        else Form((len(names), *(size or ()), values[domain].channels), values[domain].kept)
        for domain in domains
    ]
    return stored(paths, forms, _rows(task, _Frame(size, middle, task.load_size), domains, samples), progress)


class Form(NamedTuple):
    """Shape and type of an array in the cache; of images of different sizes the shape is (samples, channels)."""

    shape: tuple[int, ...]
    dtype: Any = np.uint8


class _Frame(NamedTuple):
    """What is kept of an image: all of it, resized to `size` if there is one; or its middle of that size, after
    resizing to `load_size` if there is one."""

    size: Size | None
    middle: bool
    load_size: Size | None

    def __call__(self, image: Any, resized: Callable[..., Any]) -> Any:
        if not (self.middle and self.size):
            return resized(image, *self.size) if self.size else image
        image = resized(image, *self.load_size) if self.load_size else image
        (height, width), (rows, columns) = self.size, image.shape[:2]
        top, left = (rows - height) // 2, (columns - width) // 2
        return image[top : top + height, left : left + width]


def stored(
    paths: list[Path], forms: Sequence[Form], rows: Iterator[list[Pixels]], progress: Progress | None
) -> list[Any]:
    """Arrays mapped from their files in the cache; `Ragged` ones of images of different sizes.

    Where one is missing or damaged, all are written. `rows`, asked only then, gives one sample of each at a time.

    Raises:
        OutputError: the cache cannot be written.
    """
    found = [_mapped(path, form) for path, form in zip(paths, forms, strict=True)]
    if any(pixels is None for pixels in found):
        for path, pixels in zip(paths, found, strict=True):
            if pixels is None and path.exists():
                note(f"{path} is damaged, or of an earlier version; its images are decoded again")
        _write(paths, forms, rows, progress)
        found = [_mapped(path, form) for path, form in zip(paths, forms, strict=True)]
    return [pixels for pixels in found if pixels is not None]


def _mapped(path: Path, form: Form) -> Any:
    """The array of a cache file; None where there is none, or a damaged one."""
    try:
        if not is_sealed(path):
            return None
        if len(form.shape) == 2:
            return Ragged.mapped(path, *form.shape, form.dtype)
        pixels = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return pixels if (pixels.shape, pixels.dtype) == form else None


def _write(
    paths: list[Path], forms: Sequence[Form], rows: Iterator[list[Pixels]], progress: Progress | None
) -> None:
    """Write arrays a row at a time, each whole or not at all."""
    try:
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        # Plain writes: through a memory map, a full disk would kill the process instead of raising.
        with ExitStack() as stack:
            parts = [stack.enter_context(replacing(path, shared=True)) for path in paths]
            files = [stack.enter_context(part.open("wb")) for part in parts]
            sides: list[list[tuple[int, ...]]] = [[] for _ in files]
            seals = [hashlib.sha256() for _ in files]

            def write(place: int, content: bytes) -> None:
                files[place].write(content)
                seals[place].update(content)

            for place, form in enumerate(forms):
                if len(form.shape) > 2:
                    write(place, _header(form))
            for done, row in enumerate(rows, 1):
                for place, pixels in enumerate(row):
                    write(place, pixels.tobytes())
                    sides[place].append(pixels.shape[:2])
                if progress:
                    progress(done, forms[0].shape[0])
            for place, form in enumerate(forms):
                if len(form.shape) == 2:
                    write(place, Ragged.ending(sides[place]))
                files[place].write(seals[place].digest())
    except OSError as error:
        raise OutputError(f"cannot write the cache {paths[0]}: {error.strerror}; choose another place") from error


def _header(form: Form) -> bytes:
    file, descr = io.BytesIO(), np.lib.format.dtype_to_descr(np.dtype(form.dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": form.shape})
    return file.getvalue()


def _rows(task: Task, frame: _Frame, domains: str, samples: list[list[Sample]]) -> Iterator[list[Pixels]]:
    """The pixels of samples that belong together, one of each of these domains at a time.

    Raises `DataError` at the end where the images are no longer those of the task.
    """
    decode = _decoder(task, frame)  # opens the folder: only where something is to decode
    for each in zip(*samples, strict=True):
        yield decode(domains, each)
    task.check_unchanged()


def _decoder(task: Task, frame: _Frame) -> Callable[[str, tuple[Sample, ...]], list[Pixels]]:
    """A function from samples that belong together, of these domains, to their pixels."""
    palette_file = read_layout(task.root).palette if task.labels else None
    palette = read_palette(palette_file) if palette_file else None

    values = {"A": task.a, "B": task.b}

    def raster(path: Path, own: Values) -> np.ndarray:
        return read_raster(read_bytes(path), path, own.channels)

    def label_map(sample: Sample, labels: LabelMaps) -> Pixels:
        numbers = decode_map(read_bytes(sample.path), sample.path, palette)
        check_labels(numbers, labels, sample.path)
        numbers, ids = frame(numbers, resize_map), None
        if sample.instances:
            ids = frame(decode_map(read_bytes(sample.instances), sample.instances), resize_map)
        return pack(numbers, ids, sample.instances or sample.path)

    def decode(domains: str, samples: tuple[Sample, ...]) -> list[Pixels]:
        if task.layout == "aligned":
            image = raster(samples[0].path, task.a)
            middle = image.shape[1] // 2
            halves = {"A": image[:, :middle], "B": image[:, middle:]}
            return [frame(values[domain].pixels(halves[domain]), resize) for domain in domains]
        return [
            label_map(sample, task.labels)
            if task.labels and domain == "A"
            else frame(values[domain].pixels(raster(sample.path, values[domain])), resize)
            for domain, sample in zip(domains, samples, strict=True)
        ]

    return decode
