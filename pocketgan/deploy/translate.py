"""Running a model on image files, or on the files of label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from pocketgan.data.images import (
    list_images,
    read_bytes,
    read_rgb,
    resize,
    resize_map,
    save_image,
    to_tensor,
    to_uint8,
)
from pocketgan.data.label_folders import PALETTES
from pocketgan.data.labels import DONT_CARE, LabelMaps, Palette, decode_map, encode, pack, read_palette
from pocketgan.data.samples import named_images
from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.models import Model, of_images
from pocketgan.seeds import derive_seed
from pocketgan.units import Size, both_sides


def translate_images(
    model: Model,
    images: Iterable[Path],
    out: Path,
    size: int | Size | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    style_seed: int | None = None,
    instances: Path | None = None,
) -> int:
    """Write the model's picture of every image into `out`, as PNG under the image's stem; returns how many.

    A model whose card has `labels` takes label maps: numbers, or colours of a palette that lies beside them or one
    folder up (see `data.labels`).

    Args:
        images: files, or folders of files.
        size: side, or height and width, to resize to first; None takes the model's, 0 keeps each image's own size
            (cut to what the network can take).
        style_seed: one style for all images, drawn from this seed; default each gets one from its own content.
        instances: folder of the instance maps, of the same names as the label maps (Cityscapes: `_instanceIds` for
            `_labelIds`). Without it the edges of the labels stand for those of the instances.

    Raises `DataError`, `SpecError`, `OutputError`: what cannot be read, does not fit the model, cannot be written.
    """
    run = _function(model, style_seed)
    files = _files(images)
    for path in files:
        if (out / f"{path.stem}.png").resolve() == path.resolve():
            raise OutputError(f"the picture of {path} would overwrite the image itself; choose another --out")
    sides = model.size if size is None else both_sides(size)
    if any(sides):
        model.spec.check_size(*sides)
    read = _reader(model, sides, files, instances)
    for done, path in enumerate(files, 1):
        with torch.inference_mode():
            made = to_uint8(run(read(path)))[0]
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{out} cannot be made: {error.strerror}; choose another --out") from error
        save_image(made, out / f"{path.stem}.png")
        progress(done, len(files))
    return len(files)


def _function(model: Model, style_seed: int | None) -> Callable[[Tensor], Tensor]:
    """The network as a function of one image."""
    if style_seed is None:
        return of_images(model.network)
    drawn = model.network.draw(1, torch.Generator().manual_seed(derive_seed(style_seed, "style")))
    if not drawn:
        raise SpecError(
            f"--style-seed is for networks that take a style, and a {model.spec.kind} generator takes none; "
            "leave it out"
        )
    return partial(model.network, **drawn)


def _reader(model: Model, sides: Size, files: list[Path], instances: Path | None) -> Callable[[Path], Tensor]:
    """What makes of a file the batch of one that the network takes."""
    labels = _labels(model)
    if instances is not None and not (labels and labels.instances):
        raise SpecError(
            "--instances is for models that see the edges of instances, and this one does not; leave it out"
        )

    def fitted(image: np.ndarray, path: Path) -> np.ndarray:
        if not any(sides):
            return _cut(image, path, model)
        return resize(image, *sides) if image.ndim == 3 else resize_map(image, *sides)

    if labels is None:
        return lambda path: to_tensor(fitted(read_rgb(path), path)[None])
    partners = {} if instances is None else _instance_maps(files, instances)

    def label_map(path: Path) -> Tensor:
        numbers = decode_map(read_bytes(path), path, _palette(path))
        _check_labels(numbers, labels, path)
        partner = partners.get(path, path)
        ids = numbers if partner == path else decode_map(read_bytes(partner), partner)
        if ids.shape != numbers.shape:
            (height, width), (rows, columns) = numbers.shape, ids.shape
            raise DataError(
                f"{path} is {width}x{height} but {partner} is {columns}x{rows}; "
                "make instances and labels equally large"
            )
        seen = fitted(ids, partner) if labels.instances else None
        return encode(pack(fitted(numbers, path), seen, partner)[None], labels)

    return label_map


def _labels(model: Model) -> LabelMaps | None:
    """What the label maps of a model hold; None where it takes images."""
    spec, told = model.spec, model.card.get("labels")
    if told is None and spec.in_channels == 3:
        return None
    form = 'as "labels": {"classes": 34, "dont_care": false, "instances": true}'
    if told is None:
        raise DataError(
            f"this {spec.kind} generator takes label maps of {spec.in_channels} channels, and nothing says what "
            f"their labels are; add them to the card in its model.json, {form}"
        )
    with suppress(ValidationError):
        labels = LabelMaps.model_validate(told)
        if labels.channels == spec.in_channels:
            return labels
    raise DataError(
        f"the labels in the card of this model are none of {spec.in_channels} channels: {told}; mend its "
        f"model.json, {form}"
    )


def _instance_maps(files: list[Path], folder: Path) -> dict[Path, Path]:
    """The instance map of each label map."""
    named = named_images(folder, "it holds the instance maps")
    names = {path: path.stem.replace("_labelIds", "_instanceIds") for path in files}
    for path, name in names.items():
        if name not in named:
            raise DataError(f"{path} has no instance map {name} in {folder}; add it or leave --instances out")
    return {path: named[name] for path, name in names.items()}


def _check_labels(numbers: np.ndarray, labels: LabelMaps, path: Path) -> None:
    """As `data.labels.check_labels`, whose remedy, another number of classes, a finished model does not have."""
    known = [*range(labels.classes), *([DONT_CARE] if labels.dont_care else [])]
    if len(strange := np.setdiff1d(numbers, known)):
        also = f" and {DONT_CARE} for pixels of no class" if labels.dont_care else ""
        raise DataError(
            f"{path} holds the label {strange.max()}; the model knows 0 to {labels.classes - 1}{also}: mend the map"
        )


def _palette(path: Path) -> Palette | None:
    """The palette beside a map or one folder up, where data folders have it."""
    places = (folder / name for folder in (path.parent, path.parent.parent) for name in PALETTES)
    found = next(filter(Path.is_file, places), None)
    return read_palette(found) if found else None


def _cut(image: np.ndarray, path: Path, model: Model) -> np.ndarray:
    """The largest part, from the upper left corner, that the network can take."""
    height, width = (length - length % model.spec.stride for length in image.shape[:2])
    if min(height, width) < model.spec.smallest_side:
        raise DataError(
            f"{path} is {image.shape[1]}x{image.shape[0]}, smaller than the {model.spec.smallest_side} pixels "
            f"that a {model.spec.kind} generator takes; leave it out or give --size"
        )
    return np.ascontiguousarray(image[:height, :width])


def _files(images: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in images:
        if path.is_dir():
            found = list_images(path)
            if not found:
                raise DataError(f"{path} holds no images; name a folder with images, or image files")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise DataError(f"{path} does not exist; name image files or folders of images")
    stems: dict[str, Path] = {}
    for path in files:
        if stems.setdefault(path.stem, path) != path:
            raise DataError(
                f"{path} and {stems[path.stem]} would both become {path.stem}.png; translate them into two folders"
            )
    return files
