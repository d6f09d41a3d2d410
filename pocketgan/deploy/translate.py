"""Running a model on image files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from pocketgan.data.images import list_images, read_rgb, resize, save_image, to_tensor, to_uint8
from pocketgan.errors import DataError, OutputError
from pocketgan.models import Model


def translate_images(
    model: Model,
    images: Iterable[Path],
    out: Path,
    size: int | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the model's picture of every image into `out`, as PNG under the image's stem; returns how many.

    Args:
        images: files, or folders of files.
        size: side to resize to first; None takes the model's, 0 keeps each image's own size (cut to what the
            network can take).
    """
    files = _files(images)
    for path in files:
        if (out / f"{path.stem}.png").resolve() == path.resolve():
            raise OutputError(f"the picture of {path} would overwrite the image itself; choose another --out")
    side = model.card.get("size", 256) if size is None else size
    if side:
        model.spec.check_size(side)
    for done, path in enumerate(files, 1):
        image = read_rgb(path)
        image = resize(image, side, side) if side else _cut(image, path, model)
        with torch.inference_mode():
            made = to_uint8(model.network(to_tensor(image[None])))[0]
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{out} cannot be made: {error.strerror}; choose another --out") from error
        save_image(made, out / f"{path.stem}.png")
        progress(done, len(files))
    return len(files)


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
