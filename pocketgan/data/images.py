"""Pictures: read from any common file into uint8 RGB, resized, turned into tensors and back, written.

A picture is a uint8 array (height, width, 3); kept pixels may have other channels, and 16 bits (see `values`). A
batch of them on its way to a network is a float tensor (batch, channels, height, width) in [-1, 1].
"""

import io
import os
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int32, UInt, UInt8
from PIL import Image, ImageOps

from pocketgan.data.raster import decoding, header_of
from pocketgan.errors import DataError, OutputError
from pocketgan.files import replacing

if TYPE_CHECKING:
    from torch import Tensor
else:  # listing and reading images must not wait for torch; jaxtyping checks shape and dtype of any array
    Tensor = Any

SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".npy", ".pbm", ".pcx"}
    | {".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)


def list_folder(folder: Path) -> list[Path]:
    """What a folder holds; a `DataError` that names it where it cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}; check its name and permissions") from error


def list_images(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name. Hidden files, other files and sub-folders are left out."""
    images = (
        path
        for path in list_folder(Path(folder))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    return sorted(images, key=lambda path: path.name)


def readable(name: str) -> str:
    """A file's name as text that can be compared and printed: letters with their accents as one sign each, and
    bytes that are not UTF-8, as old archives leave them, as \\xe9."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))


def broken_links(folder: Path) -> int:
    """How many images of a folder are links to what is not there."""
    images = (path for path in list_folder(folder) if path.suffix.lower() in SUFFIXES)
    return sum(path.is_symlink() and not path.exists() for path in images)


def no_images(folder: Path, remedy: str) -> DataError:
    """The error for a folder without images, which says what was not looked at."""
    inside = "; folders within it are not searched" if any(path.is_dir() for path in list_folder(folder)) else ""
    broken = f" but {links_text(count)}" if (count := broken_links(folder)) else ""
    return DataError(f"{folder} holds no images{broken}{inside}; {remedy}")


def links_text(count: int) -> str:
    """Such as `2 broken links`."""
    return f"{count} broken link{'s' if count > 1 else ''}"


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; a `DataError` that names it where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check its name and permissions") from error


def image_size(data: bytes, path: Path) -> tuple[int, int]:
    """(width, height) of the encoded image `data` as it will be shown, from its header alone.

    `path` is what a `DataError` names when the header makes no sense.
    """
    return header_of(data, path)[:2]


def read_rgb(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Any image as 8-bit RGB, turned upright.

    Gray and palette images become RGB, transparency is laid on white, 16 bits are scaled to 8 (65535 -> 255),
    an animation gives its first frame.

    Raises:
        DataError: the file is missing, corrupt or truncated, or holds floats or 32-bit integers, whose white
            is unknown.
    """
    path = Path(path)
    data = read_bytes(path)
    with decoding(path), Image.open(io.BytesIO(data)) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
    mode = upright.mode
    if mode == "I" or mode.startswith("I;16"):
        values = np.asarray(upright).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise _unknown_white(path, "32-bit integers")
        gray = ((values * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if mode in ("F", "LAB"):
        raise _unknown_white(path, "floats" if mode == "F" else "Lab colours")
    if mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in upright.info:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"))


def resize(
    image: UInt[np.ndarray, "_ _ channels"], height: int, width: int
) -> UInt[np.ndarray, "{height} {width} channels"]:
    """Bicubic resizing with antialiasing: Pillow's, the reference of the papers; channel by channel but for RGB."""
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    planes = image if image.dtype == np.uint8 else image.astype(np.float32)
    made = [
        np.asarray(Image.fromarray(planes[:, :, channel]).resize((width, height), Image.Resampling.BICUBIC))
        for channel in range(image.shape[2])
    ]
    # Pillow has no 16 bits: their floats may swing beyond what these hold
    return np.stack(made, axis=2).round().clip(0, np.iinfo(image.dtype).max).astype(image.dtype)


def resize_map(numbers: Int32[np.ndarray, "_ _"], height: int, width: int) -> Int32[np.ndarray, "{height} {width}"]:
    """Resizing that takes the nearest pixel, so that numbers of classes and instances stay what they are."""
    return np.array(Image.fromarray(numbers).resize((width, height), Image.Resampling.NEAREST))


def to_tensor(images: UInt[Any, "batch height width channels"]) -> Float[Tensor, "batch channels height width"]:
    """0..255 -> [-1, 1] as x / 127.5 - 1, and 16 bits as x / 32767.5 - 1. Always a copy.

    An array gives a tensor on the CPU, a tensor one on its own device; both give the same numbers, bit for bit.
    """
    import torch

    if isinstance(images, np.ndarray):
        # in numpy, because batches are made in a thread of their own: torch's arithmetic would start a second pool
        # of workers there, which takes the cores from the training step (measured: 30 % slower on two)
        return torch.from_numpy(_scaled(images.transpose(0, 3, 1, 2)))
    top = 255 if images.dtype == torch.uint8 else 65535
    return _levels(images.device, top)[images.int().permute(0, 3, 1, 2).contiguous()]


@lru_cache(maxsize=8)
def _levels(device: Any, top: int) -> Float[Tensor, " levels"]:
    """What each number means: looked up, because a GPU divides a little differently."""
    import torch

    return torch.from_numpy(_scaled(np.arange(top + 1, dtype=np.uint8 if top == 255 else np.uint16))).to(device)


def _scaled(levels: UInt[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    values = levels.astype(np.float32, order="C")
    values /= np.float32(np.iinfo(levels.dtype).max / 2)
    values -= np.float32(1)
    return values


def shown(pixels: UInt[np.ndarray, "*batch height width channels"]) -> UInt8[np.ndarray, "*batch height width 3"]:
    """Kept pixels for the eye, in 8 bits: gray as it is, else the first three channels (of two: red and green)."""
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.shape[-1] == 1:
        return np.repeat(pixels, 3, axis=-1)
    if pixels.shape[-1] == 2:
        return np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=-1)
    return pixels[..., :3]


def seen(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch 3 height width"]:
    """The same of images in [-1, 1]: what networks that know pictures look at."""
    import torch

    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] == 2:
        return torch.cat([images, torch.full_like(images[:, :1], -1)], dim=1)
    return images[:, :3]


def to_uint8(
    images: Float[Tensor, "batch channels height width"], rounding: Literal["round", "truncate"] = "round"
) -> UInt8[np.ndarray, "batch height width channels"]:
    """[-1, 1] -> 0..255; what lies outside is clipped. On any device.

    "round" is right (a uint8 image comes back unchanged). "truncate" is floor((x + 1) / 2 * 255), the habit
    of the published systems, for figures that compare with theirs.

    Source: `tensor2im` of mit-han-lab/gan-compression.
    """
    levels = ((images.detach().float() + 1) / 2 * 255).clamp(0, 255)
    if rounding == "round":
        levels = levels.round()
    return np.ascontiguousarray(levels.cpu().numpy().astype(np.uint8).transpose(0, 2, 3, 1))


def save_image(image: UInt8[np.ndarray, "height width 3"], path: Path) -> None:
    """Write a picture in the format of the suffix, whole or not at all: under a temporary name, then renamed.

    Raises:
        OutputError: the suffix is unknown, or the place cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES - {".npy"}:
        raise OutputError(f"cannot write {path}: '{path.suffix}' is no image suffix; use .png or .jpg")
    try:
        with replacing(path, shared=True) as part:
            Image.fromarray(image).save(part, format=Image.registered_extensions()[path.suffix.lower()])
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; choose another place") from error


def _unknown_white(path: Path, what: str) -> DataError:
    return DataError(f"{path} holds {what}; save it as RGB or gray with 8 or 16 bits")
