"""Rasters: the numbers of an image file as they are, with any number of channels and of any type.

A raster is an array (height, width, channels) of uint8, of other integers, or of floats. Pillow reads what it reads
as it is; tifffile the other TIFFs (several pages, more than four channels, colours of 16 bits); NumPy .npy files,
which are (height, width) or (height, width, channels).
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from pocketgan.errors import DataError, OutputError
from pocketgan.files import replacing

#: height x width x channels
Raster = np.ndarray
#: as many channels as `seen` would not call pages by mistake
MOST_CHANNELS = 64
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that exchange width and height


def allow_pixels(count: int) -> None:
    """Open images of up to so many pixels from now on, in this process; default are Pillow's 178,956,970."""
    Image.MAX_IMAGE_PIXELS = (count + 1) // 2


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turns whatever a decoder throws into a `DataError` that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # that of half as many pixels
            yield
    except Image.DecompressionBombError as error:
        has, limit = map(int, re.findall("[0-9]+", str(error)))
        raise DataError(
            f"{path} has {has:,} pixels, and images of more than {limit:,} are not opened unasked; make it "
            f"smaller, remove it, or say pocketgan --max-pixels {has} before the verb"
        ) from error
    except DataError:
        raise
    except Exception as error:  # decoders throw OSError, SyntaxError, ValueError, struct.error, ...
        raise DataError(f"{path} is corrupt, truncated or no image; replace or remove it") from error


class Header(NamedTuple):
    """What is known of a raster before its pixels are read.

    Attributes:
        dtype: of its numbers; those of 8 bits are uint8.
        alpha: whether the last of its channels is a picture's transparency.
    """

    width: int
    height: int
    channels: int
    dtype: np.dtype[Any]
    alpha: bool = False

    @property
    def deep(self) -> bool:
        """Whether it holds other numbers than 0 to 255."""
        return self.dtype != np.uint8


def header_of(data: bytes, path: Path) -> Header:
    """The header of an encoded raster. `path` is what a `DataError` names when it makes no sense."""
    with decoding(path):
        if (array := _array(data, path, whole=False)) is not None:
            height, width, channels = array.shape
            return Header(width, height, channels, array.dtype)
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            # Pillow turns a TIFF's size itself; the base class's getexif does not decode a PNG as its own would
            if image.format != "TIFF" and Image.Image.getexif(image).get(ExifTags.Base.Orientation) in _SIDEWAYS:
                width, height = height, width
            alpha = _has_alpha(image)
            layout = _sixteen_bits(image)
            gray = image.mode in ("1", "L", "I", "F", "LA", "La") or image.mode.startswith("I;16")
            gray |= layout == "LA;16B"
            dtype = np.dtype({"I": np.int32, "F": np.float32}.get(image.mode, np.uint8))
            if image.mode.startswith("I;16") or layout:
                dtype = np.dtype(np.uint16)
            channels = (1 if gray else 3) + alpha
            return Header(width, height, channels, dtype, alpha)


def read_raster(data: bytes, path: Path, channels: int | None = None) -> Raster:
    """The numbers of an encoded raster, turned upright. `path` is what a `DataError` names.

    Transparency is laid on white, but where there are to be as many `channels` as with it. Palettes, CMYK and other
    colours become RGB; an animation gives its first frame. float64 becomes float32, true and false 1 and 0.
    """
    with decoding(path):
        if (array := _array(data, path, whole=True)) is not None:
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise DataError(f"{path} holds NaN or infinity; replace these values")
            return array
        with Image.open(io.BytesIO(data)) as image:
            if layout := _sixteen_bits(image):
                return _of_sixteen_bits(data, layout, channels)
            image.load()
            upright = ImageOps.exif_transpose(image)
    mode = upright.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        array = np.asarray(upright)[:, :, None]
        if mode == "F" and not np.isfinite(array).all():
            raise DataError(f"{path} holds NaN or infinity; replace these values")
        return array
    if mode == "LAB":
        raise DataError(f"{path} holds Lab colours; save it as RGB or gray")
    if _has_alpha(upright):
        gray = mode in ("LA", "La")
        if channels == (2 if gray else 4):
            return np.array(upright.convert("LA" if gray else "RGBA"))
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
        return np.array(upright.convert("RGB"))
    if mode in ("1", "L"):
        return np.array(upright.convert("L"))[:, :, None]
    return np.array(upright.convert("RGB"))


def suffix_for(dtype: np.dtype[Any], channels: int) -> str:
    """That of the files in which `save_raster` keeps such numbers: .png where that can hold them, else .tif."""
    fits = {1: (np.uint8, np.uint16), 3: (np.uint8,)}.get(channels, ())
    return ".png" if dtype in fits else ".tif"


def save_raster(raster: Raster, path: Path) -> None:
    """Write numbers as they are, whole or not at all, in the format of the suffix: .png or .tif, of `suffix_for`.

    Raises `OutputError` where the place cannot be written.
    """
    from tifffile import imwrite

    try:
        with replacing(path, shared=True) as part:
            if path.suffix == ".png":
                Image.fromarray(raster[:, :, 0] if raster.shape[2] == 1 else raster).save(part, format="PNG")
            else:
                planes = np.ascontiguousarray(raster.transpose(2, 0, 1))
                form: dict[str, Any] = dict(photometric="minisblack", planarconfig="separate")
                imwrite(part, planes if len(planes) > 1 else planes[0], **(form if len(planes) > 1 else {}))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; choose another place") from error


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _sixteen_bits(image: Image.Image) -> str:
    """How the numbers lie in a PNG of 16 bits a colour, which Pillow reads in 8; '' of any other image."""
    layout = str(image.tile[0][3]) if image.format == "PNG" and image.tile else ""  # type: ignore[attr-defined]
    return layout if layout in ("RGB;16B", "RGBA;16B", "LA;16B") else ""


def _of_sixteen_bits(data: bytes, layout: str, channels: int | None) -> Raster:
    """All 16 bits of a PNG: of each number Pillow gives the first byte, and where it is told that the bytes lie in
    the other order, the second; of gray with transparency, told that it is a colour of 8 bits, both."""

    def read(told: str) -> np.ndarray:
        with Image.open(io.BytesIO(data)) as image:
            image.tile = [(*tile[:3], told) for tile in image.tile]  # type: ignore[misc]
            image.load()
            clear.append(image.info.get("transparency"))
            return np.ascontiguousarray(ImageOps.exif_transpose(image))

    clear: list[Any] = []
    if layout == "LA;16B":
        array = read("RGBA").view(">u2").astype(np.uint16)
    else:
        array = read(layout).astype(np.uint16) << 8 | read(layout.replace("16B", "16L"))
    if layout == "RGB;16B" and clear[0]:  # one colour stands for what is transparent
        array = np.dstack([array, np.where((array == clear[0]).all(axis=2), 0, 65535).astype(np.uint16)])
    if array.shape[2] in (3, channels):
        return array
    cover = array[:, :, -1:] / 65535
    return (array[:, :, :-1] * cover + 65535 * (1 - cover)).round().astype(np.uint16)


def _array(data: bytes, path: Path, whole: bool) -> Raster | None:
    """The raster of a file that Pillow is not asked for; of zeros unless `whole`. None of any other file."""
    if data[:6] == b"\x93NUMPY":
        return _of_numpy(data, path)
    return _of_tiff(data, path, whole) if data[:4] in _TIFF else None


def _of_numpy(data: bytes, path: Path) -> Raster:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or 0 in array.shape:
        raise DataError(
            f"{path} has the shape {_times(array.shape)}, and an image is height x width, or height x width x "
            "channels; mend it"
        )
    return _checked(array, path)


def _of_tiff(data: bytes, path: Path, whole: bool) -> Raster | None:
    """As `_array`."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            bits, samples, colours = max(np.atleast_1d(tags.get(258, 1))), tags.get(277, 1), tags.get(262, 1) > 1
            usual = getattr(image, "n_frames", 1) == 1 and image.mode != "RGBX"
            if usual and (samples == 1 or (bits <= 8 and (colours or image.mode in ("LA", "La")))):
                return None
    except Image.DecompressionBombError:
        raise
    except Exception:  # what Pillow does not know, tifffile may
        pass
    from tifffile import TiffFile

    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # it is heard through its errors
    with TiffFile(io.BytesIO(data)) as file:
        first, *others = file.series
        if others and not all(
            getattr(page, "is_reduced", False) for other in others for page in other.pages if page
        ):
            raise DataError(
                f"{path} holds pages of different sizes or kinds; save them as files of their own, or alike"
            )
        sides = {axis: length for axis, length in zip(first.axes, first.shape, strict=True) if length > 1}
        more = [axis for axis in first.axes if axis in sides and axis not in "YX"]
        if len(more) > 1:
            raise DataError(
                f"{path} has the shape {_times(first.shape)} ({first.axes}), and only one axis beside height and "
                "width can be its channels; save it in parts"
            )
        shape = [sides.get(axis, 1) for axis in ("Y", "X", *more)]
        _within_limit(shape[0] * shape[1])
        if not whole:
            return _checked(np.broadcast_to(np.zeros((), first.dtype), (*shape, 1)[:3]), path)
        try:
            array = first.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise DataError(
                f"{path} is compressed in a way that is read with the package imagecodecs alone; install that "
                "(pip install imagecodecs), or save the image uncompressed"
            ) from error
        kept = [axis for axis in first.axes if axis in sides or axis in "YX"]
        array = array.reshape(
            [length for axis, length in zip(first.axes, first.shape, strict=True) if axis in kept]
        )
        array = array.transpose([kept.index(axis) for axis in ("Y", "X", *more)])
        return _checked(array if more else array[:, :, None], path)


def _checked(array: Raster, path: Path) -> Raster:
    """Of a type that is known, with channels last."""
    if array.dtype.kind not in "buif":
        raise DataError(f"{path} holds numbers of the type {array.dtype}; save it with integers or floats")
    if array.shape[2] > MOST_CHANNELS:
        raise DataError(
            f"{path} has the shape {_times(array.shape)}: {array.shape[2]} channels, and at most {MOST_CHANNELS} "
            "can be used; the channels of an .npy file come last"
        )
    _within_limit(array.shape[0] * array.shape[1])
    if array.dtype.kind == "b":
        return array.astype(np.uint16)
    kind = np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    return array.astype(kind, copy=False)


def _within_limit(pixels: int) -> None:
    """As Pillow for the files that it opens."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit and pixels > 2 * limit:
        raise Image.DecompressionBombError(f"{pixels} pixels, {2 * limit}")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
