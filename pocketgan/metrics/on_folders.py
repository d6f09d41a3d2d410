"""An evaluator of ready-made pictures in one folder against the real ones in another, without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketgan.data.images import image_size, read_bytes, resize, to_tensor
from pocketgan.data.partners import matching, partners
from pocketgan.data.raster import header_of, read_raster
from pocketgan.data.samples import check_partners, named_images
from pocketgan.data.values import Survey, Values
from pocketgan.errors import DataError
from pocketgan.metrics.evaluate import Evaluator
from pocketgan.metrics.evaluation import Evaluation
from pocketgan.metrics.stream import Answered, ImageList, Stream
from pocketgan.units import Size

BATCH = 16


def evaluate_folders(
    pictures: Path, reals: Path, size: Size | None, unpaired: bool | None, **options: Any
) -> tuple[Evaluation, bool]:
    """The scores of the pictures, with intervals, and whether they were taken for pairs with the real ones.

    Args:
        size: height and width to resize all to; None leaves each as it is.
        unpaired: True compares the folders as sets alone, False image by image; None does the latter where the
            names match (see `data.partners`).
        options: those of `Evaluator`.

    Raises `DataError` for images that cannot be read, lack a partner or are not as large as theirs.
    """
    made, real = (named_images(folder, "pictures are compared with real ones") for folder in (pictures, reals))
    rule = matching([(made, real)])
    paired = not unpaired and (rule is not None or unpaired is False or bool(made.keys() & real.keys()))
    if paired and rule is None:
        check_partners(made, real, (pictures, reals), "or say --unpaired")
    pairs = partners(made, real, rule) if paired and rule else {}
    if size is None:
        for name, partner in pairs.items():
            sizes = [image_size(read_bytes(path), path) for path in (made[name], real[partner])]
            if sizes[0] != sizes[1]:
                shown = " but ".join(f"{w}x{h}" for w, h in sizes)
                raise DataError(
                    f"{made[name]} and {real[partner]} must be equally large, and are {shown}; give --size"
                )

    values = _values([*made.values(), *real.values()])

    def batches() -> Iterator[Answered]:
        for names in _alike([*made], made, size):
            x = _images([made[name] for name in names], size, values)
            y = _images([real[pairs[name]] for name in names], size, values) if paired else x[:0]
            yield Answered(x, y, names)

    def targets() -> Iterator[Answered]:
        for names in _alike([*real], real, size):
            y = _images([real[name] for name in names], size, values)
            yield Answered(y, y, names)

    evaluator = Evaluator(Stream(batches), targets=None if paired else Stream(targets), **options)
    result = evaluator(lambda x: x, intervals=True)
    # what the pictures were made of is not known: results compare by the real ones, and by how many there are
    result.images["sources"] = ImageList(names=tuple(result.names) if paired else (), sha256="")
    return result, paired


def _alike(names: Sequence[str], paths: dict[str, Path], size: Size | None) -> Iterator[list[str]]:
    """The names in order, in batches of images that are equally large."""

    def sides(name: str) -> Size:
        return size or image_size(read_bytes(paths[name]), paths[name])

    for _, group in groupby(names, sides):
        alike = [*group]
        yield from (alike[at : at + BATCH] for at in range(0, len(alike), BATCH))


def _values(paths: Sequence[Path]) -> Values:
    """What the images of both folders hold: one range for all."""
    survey = Survey()
    for path in paths:
        header = header_of(data := read_bytes(path), path)
        survey.add(header, read_raster(data, path) if header.deep else None, path)
    return survey.values()


def _images(paths: Sequence[Path], size: Size | None, values: Values) -> Tensor:
    images = [values.pixels(read_raster(read_bytes(path), path, values.channels)) for path in paths]
    fitted = [resize(image, *size) if size else image for image in images]
    return to_tensor(np.stack(fitted)) if fitted else torch.empty(0)
