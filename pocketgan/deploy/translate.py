"""Running a model on image files, or on the files of label maps."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from pocketgan.data.images import (
    broken_links,
    links_text,
    list_images,
    no_images,
    read_bytes,
    readable,
    resize,
    resize_map,
    to_tensor,
)
from pocketgan.data.label_folders import PALETTES
from pocketgan.data.labels import DONT_CARE, LabelMaps, Palette, decode_map, encode, pack, read_palette
from pocketgan.data.raster import save_raster
from pocketgan.data.samples import named_images
from pocketgan.data.values import Range
from pocketgan.deploy.exported import Exported
from pocketgan.deploy.pictures import Pictures
from pocketgan.deploy.tiles import TILE, Tiler
from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.models import Model, of_images
from pocketgan.seeds import derive_seed
from pocketgan.units import Size, both_sides, size_text


class Translation(NamedTuple):
    """How many pictures were written, what was done to the images first, and what a user should know of it."""

    pictures: int
    how: str
    notes: tuple[str, ...]


def translate_images(
    model: Model,
    images: Iterable[Path],
    out: Path,
    size: int | Size | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    style_seed: int | None = None,
    dropout_seed: int | None = None,
    instances: Path | None = None,
    range_: Range | None = None,
    overwrite: bool = False,
    tile: int | None = None,
    device: torch.device = torch.device("cpu"),
) -> Translation:
    """Write the model's picture of every image into `out` under the image's stem, in the values of the images that
    the model learnt to make: as PNG, or as TIFF where that cannot hold them.

    A model whose card has `labels` takes label maps: numbers, or colours of a palette that lies beside them or one
    folder up (see `data.labels`).

    Args:
        images: files, or folders of files.
        size: side, or height and width, to resize to first. Default: each picture has its image's own size; images
            and label maps are padded at the right and below, by reflection, to what the network takes, and the
            picture is cut back.
        style_seed: one style for all images, drawn from this seed; default each gets one from its own content.
        dropout_seed: dropout stays on, drawn from this seed for each image alike; default off.
        instances: folder of the instance maps, of the same names as the label maps (Cityscapes: `_instanceIds` for
            `_labelIds`). Without it the edges of the labels stand for those of the instances.
        range_: the values of images that are black and white. Default: those of the model; for images of more than
            8 bits and a model of 8, those that these images need.
        overwrite: whether pictures may take the place of files that are there.
        tile: side of the tiles for pictures that are longer; 0 runs all of them whole; default by their size.
        device: where to compute.

    Raises `DataError`, `SpecError`, `OutputError`: what cannot be read, does not fit the model, cannot be written.
    """
    model = model._replace(network=model.network.to(device))
    if tile and dropout_seed is not None:
        raise SpecError(
            "dropout is drawn for a whole picture, and --tile cuts it; leave --tile or --dropout-seed out"
        )
    whole = tile == 0 or (tile is None and dropout_seed is not None)
    run = Tiler(model, _function(model, style_seed, dropout_seed, device), 0 if whole else tile)
    images = [*images]
    files = _files(images, model.target.suffix)
    sides = None if size is None else both_sides(size)
    if sides:
        model.spec.check_size(*sides)
    _check_places(files, out, overwrite, model.target.suffix)
    images_read = Pictures(model, files, range_)
    read = _reader(model, sides, files, instances, images_read)
    sizes: dict[Path, Size] = {}
    padded = 0
    for done, path in enumerate(files, 1):
        x, (height, width) = read(path)
        sizes[path], padded = (height, width), padded + (x.shape[2:] != (height, width))
        try:
            model.spec.check_size(*x.shape[2:])
        except SpecError as error:
            raise DataError(f"{path}: {error}") from error
        with torch.inference_mode():
            made = run(x.to(device))[0, :, :height, :width].permute(1, 2, 0).cpu().numpy()
        del x  # large pictures: neither it nor what was made of it stays while the next is read
        if not np.isfinite(made).all():
            raise DataError(f"the model makes values of {path} that are not finite; take other weights")
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{out} cannot be made: {error.strerror}; choose another --out") from error
        save_raster(model.target.restored(made), out / f"{path.stem}{model.target.suffix}")
        del made
        progress(done, len(files))
    how = f"each resized to {size_text(sides)}" if sides else "each at its own size"
    if padded:
        how += f", {padded} padded by reflection to multiples of {model.spec.stride} and cut back"
    if run.tiled:
        how += f", {run.tiled} in tiles of {tile or TILE}"
    broken = sum(broken_links(folder) for folder in images if folder.is_dir())
    notes = (
        *images_read.notes(),
        *([] if sides else _far(model, sizes)),
        *([f"{links_text(broken)} left out"] if broken else []),
    )
    return Translation(len(files), how, notes)


def _check_places(files: list[Path], out: Path, overwrite: bool, suffix: str) -> None:
    """Raise an `OutputError` for a picture that would take the place of its image, or of anything else unasked."""
    places = [out / f"{path.stem}{suffix}" for path in files]
    for path, place in zip(files, places, strict=True):
        if place.resolve() == path.resolve():
            raise OutputError(f"the picture of {path} would overwrite the image itself; choose another --out")
    if not overwrite and (there := [place for place in places if os.path.lexists(place)]):
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise OutputError(f"{there[0]}{more} would be overwritten; choose another --out, or say --overwrite")


def _far(model: Model, sizes: dict[Path, Size]) -> list[str]:
    """What to know where images are more than twice as large as those of the training, or less than half."""
    if "size" not in model.card or model.sight.get("crop"):
        return []
    trained = model.sight.get("load_size", model.size)
    far = [
        path
        for path, size in sizes.items()
        if any(not 0.5 <= s / t <= 2 for s, t in zip(size, trained, strict=True))
    ]
    if not far:
        return []
    return [
        f"{len(far)} of {len(sizes)} images are far from the {size_text(trained)} pixels (height x width) that the "
        f"model was trained on, as {readable(far[0].name)} of {size_text(sizes[far[0]])}, and may come out worse; "
        f"--size {size_text(trained)} gives pictures of that size"
    ]


def _function(
    model: Model, style_seed: int | None, dropout_seed: int | None, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """The network as a function of one image."""
    network = model.network
    if dropout_seed is not None:
        if isinstance(network, Exported):
            raise SpecError(
                "--dropout-seed is for model folders, and an exported file has no dropout; leave it out"
            )
        network = copy.deepcopy(network)
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Dropout) and layer.p > 0]
        if not layers:
            raise SpecError(
                f"--dropout-seed is for networks with dropout, and this {model.spec.kind} generator has none; "
                "leave it out, or import the checkpoint with --assume dropout=0.5"
            )
        for layer in layers:
            layer.train()
    drawn = {}
    if style_seed is not None:
        drawn = network.draw(1, torch.Generator().manual_seed(derive_seed(style_seed, "style")))
        if not drawn:
            raise SpecError(
                f"--style-seed is for networks that take a style, and a {model.spec.kind} generator takes none; "
                "leave it out"
            )
    drawn = {name: each.to(device) for name, each in drawn.items()}
    run = partial(network, **drawn) if drawn else of_images(network)
    if dropout_seed is None:
        return run

    def with_dropout(x: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(dropout_seed, "dropout"))
            return run(x)

    return with_dropout


def _reader(
    model: Model, sides: Size | None, files: list[Path], instances: Path | None, read_image: Pictures
) -> Callable[[Path], tuple[Tensor, Size]]:
    """What makes of a file the batch of one that the network takes, and the height and width of the picture."""
    labels = labels_of(model)
    if instances is not None and not (labels and labels.instances):
        raise SpecError(
            "--instances is for models that see the edges of instances, and this one does not; leave it out"
        )

    def fitted(image: np.ndarray) -> np.ndarray:
        if sides is None:
            return _padded(image, model)
        return resize(image, *sides) if image.ndim == 3 else resize_map(image, *sides)

    def picture(path: Path) -> tuple[Tensor, Size]:
        image = read_image(path)
        return to_tensor(fitted(image)[None]), sides or image.shape[:2]

    if labels is None:
        return picture
    partners = {} if instances is None else _instance_maps(files, instances)

    def label_map(path: Path) -> tuple[Tensor, Size]:
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
        seen = fitted(ids) if labels.instances else None
        return encode(pack(fitted(numbers), seen, partner)[None], labels), sides or numbers.shape

    return label_map


def labels_of(model: Model) -> LabelMaps | None:
    """What the label maps of a model hold; None where it takes images."""
    spec, told = model.spec, model.card.get("labels")
    if told is None and spec.kind != "spade":
        return None
    channels = spec.in_channels
    remedy = f"import it with --labels {channels}, or with --labels {channels - 1}+instances if it sees their edges"
    if told is None:
        raise DataError(
            f"this {spec.kind} generator takes label maps of {channels} channels, and nothing says what their "
            f"labels are; {remedy}"
        )
    with suppress(ValidationError):
        labels = LabelMaps.model_validate(told)
        if labels.channels == channels:
            return labels
    raise DataError(f"the labels in the card of this model are none of {channels} channels: {told}; {remedy}")


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


def _padded(image: np.ndarray, model: Model) -> np.ndarray:
    """An image or a map, padded at the right and below, by reflection, to what the network takes."""
    stride = model.spec.stride
    wanted = [-(-max(length, model.spec.smallest_side) // stride) * stride for length in image.shape[:2]]
    more = [(0, want - length) for want, length in zip(wanted, image.shape[:2], strict=True)]
    return np.pad(image, more + [(0, 0)] * (image.ndim - 2), mode="reflect")


def _files(images: Iterable[Path], suffix: str) -> list[Path]:
    files: list[Path] = []
    for path in images:
        if path.is_dir():
            found = list_images(path)
            if not found:
                raise no_images(path, "name a folder with images, or image files")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise DataError(f"{path} does not exist; name image files or folders of images")
    stems: dict[str, Path] = {}
    for path in files:
        if stems.setdefault(path.stem, path) != path:
            raise DataError(
                f"{path} and {stems[path.stem]} would both become {path.stem}{suffix}; translate them into two "
                "folders"
            )
    return files
