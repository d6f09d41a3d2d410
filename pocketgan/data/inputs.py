"""Inputs without a partner: a folder of images from which a student learns without targets."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pocketgan.data.cache import Examples, Form, Images, Pixels, Progress, load_examples, stored
from pocketgan.data.images import (
    broken_links,
    links_text,
    list_images,
    no_images,
    read_bytes,
    readable,
    resize,
)
from pocketgan.data.inspection import check_room
from pocketgan.data.raster import header_of, read_raster
from pocketgan.data.samples import Split
from pocketgan.data.task import Task
from pocketgan.data.values import Values
from pocketgan.errors import DataError, SpecError
from pocketgan.files import file_sha256
from pocketgan.units import size_text


class Inputs(BaseModel):
    """Images of a task's source domain that have no partner. Make one with `open_inputs`.

    As of a `Task`, `root` counts neither in equality and hash nor in the JSON form, and
    `Inputs.model_validate({**fields, "root": folder})` reads that form back.

    Attributes:
        root: the folder that holds the images.
        data_digest: SHA-256 of the names and bytes of the images, in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(exclude=True)
    data_digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inputs) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def files(self) -> list[Path]:
        """The images, sorted by name."""
        return list_images(self.root)

    @property
    def note(self) -> str:
        """Such as `12 inputs without a partner, 2 broken links left out`."""
        broken = f", {links_text(count)} left out" if (count := broken_links(self.root)) else ""
        return f"{len(self.files())} inputs without a partner{broken}"


def open_inputs(folder: Path | str, task: Task) -> Inputs:
    """Check a folder of inputs. Reads every file once, and the task's held-out sources; decodes no pixels.

    Each image is one input, also where the task's own images show A beside B. Sub-folders are left out.

    Raises:
        DataError: there is no such folder, it holds no images, one cannot be read, is smaller than `task.size`, or
            is the same file as a source of the splits `select` or `test`.
        SpecError: the inputs of the task are label maps.
    """
    folder = Path(folder)
    if task.labels:
        raise SpecError(f"--unlabelled is for images, and the inputs of {task.root} are label maps; leave it out")
    if not folder.is_dir():
        raise DataError(f"--unlabelled needs a folder of images, and there is no folder {folder}; check its name")
    sizes: dict[Path, tuple[int, int]] = {}
    seen: dict[str, Path] = {}
    for path in list_images(folder):
        data = read_bytes(path)
        seen[file_sha256(path)] = path
        header = header_of(data, path)
        sizes[path] = header[:2]
        if not task.source.accepts(header):
            raise DataError(
                f"{path} has {header.channels} channels, and the inputs of {task.root} have "
                f"{task.source.channels}; mend or remove it"
            )
    if not sizes:
        raise no_images(folder, "put some there")
    check_room(sizes, task.size)
    _check_held_out(seen, task)
    return Inputs(root=folder, data_digest=digest_of_files(sizes))


def digest_of_files(files: Iterable[Path]) -> str:
    """SHA-256 of the names and bytes of images, in hexadecimal."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(os.fsencode(f"{path.name}\0{file_sha256(path)}\n"))
    return digest.hexdigest()


def _check_held_out(seen: dict[str, Path], task: Task) -> None:
    """Raise a `DataError` where an input, by the SHA-256 of its bytes, is an image that networks are judged on."""
    source = 0 if task.direction == "AtoB" else 1
    judged: dict[Split, str] = {"test": "figures come from", "select": "choices are made on"}
    for split, what in judged.items():
        for sample in task.files(split)[source]:
            if path := seen.get(hashlib.sha256(read_bytes(sample.path)).hexdigest()):
                raise DataError(
                    f"{path} is {sample.path}, a {split} image, which {what}; remove it from the inputs"
                )


def load_inputs(
    inputs: Inputs,
    task: Task,
    splits: Split | tuple[Split, ...],
    cache_dir: Path,
    progress: Progress | None = None,
) -> Examples:
    """The sources of these splits as `load_examples` gives them for training, followed by the inputs; not paired.

    All have the task's `load_size`, or their own size. The targets are those of the splits: they belong to no
    source in particular. The first call writes all sources into one file of the cache (three bytes a pixel), so
    that the labelled ones lie there twice; later calls only map it.

    Args:
        progress: called with (images done, images in all) while a file of the cache is written.

    Raises:
        DataError: an image is corrupt or truncated, or was changed since.
        OutputError: the cache cannot be written.
    """
    labelled = load_examples(task, splits, cache_dir, training=True, progress=progress)
    files, size = inputs.files(), task.load_size
    names = [*labelled.sources.names, *(readable(path.name) for path in files)]
    content: list[object] = [task.data_digest, task.direction, inputs.data_digest, size, names]
    content += [] if task.source == Values() else [task.source.model_dump()]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def rows() -> Iterator[list[Pixels]]:
        for pixels in labelled.sources.pixels:
            yield [pixels]
        for path in files:
            image = task.source.pixels(read_raster(read_bytes(path), path, task.source.channels))
            yield [resize(image, *size) if size else image]
        if digest_of_files(files) != inputs.data_digest:
            raise DataError(
                f"the inputs in {inputs.root} changed while they were used; put them back as they were, or begin "
                "anew with another --out"
            )

    place = Path(cache_dir) / f"inputs-{size_text(size) if size else 'own'}-{key}.npy"
    form = Form((len(names), *(size or ()), task.source.channels), task.source.kept)
    (pixels,) = stored([place], [form], rows(), progress)
    return Examples(Images(names, pixels), labelled.targets, paired=False)
