"""Label maps: read from a file, checked, and encoded for a network.

A label map is an array (height, width) of class numbers, an instance map one of any numbers that tell neighbouring
objects apart. A network sees a channel for each class, 1 where a pixel is of that class, one for "do not care"
where there are such pixels, and one for the edges between instances.

Source: Park et al., Semantic Image Synthesis with Spatially-Adaptive Normalization, CVPR 2019, section A.
"""

import colorsys
import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field

from pocketgan.data.images import read_bytes
from pocketgan.data.raster import decoding
from pocketgan.errors import DataError, SpecError

if TYPE_CHECKING:
    from torch import Tensor
else:  # opening a task must not wait for torch
    Tensor = Any

DONT_CARE = 255
_BIGGEST_ID = 1 << 16
_PALETTE_REMEDY = (
    "write the classes as numbers, or put palette.txt (a line R G B for each class) into the data folder"
)

#: for each colour R << 16 | G << 8 | B its label
Palette = dict[int, int]


class LabelMaps(BaseModel):
    """What the label maps of a task hold.

    Attributes:
        classes: labels are 0 to `classes` - 1.
        dont_care: whether 255 stands for pixels of no class; they have a channel of their own.
        instances: whether there are instance maps; their edges are the last channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: int = Field(ge=1, le=DONT_CARE)
    dont_care: bool = False
    instances: bool = False

    @property
    def channels(self) -> int:
        """Channels of the encoded maps."""
        return self.classes + self.dont_care + self.instances

    @property
    def bytes(self) -> int:
        """Bytes for each pixel as `pack` stores it."""
        return 3 if self.instances else 1


CITYSCAPES = LabelMaps(classes=35, instances=True)
COCO = LabelMaps(classes=182, dont_care=True, instances=True)


def decode_map(data: bytes, path: Path, palette: Palette | None = None) -> Int32[np.ndarray, "height width"]:
    """The numbers in an encoded label or instance map: gray of 8, 16 or 32 bits, or the entries of a palette image.

    Coloured maps are read through `palette`. `path` is what a `DataError` names.
    """
    with decoding(path), Image.open(io.BytesIO(data)) as image:
        kind = image.format
        image.load()
        upright = ImageOps.exif_transpose(image)
    if kind == "JPEG":
        raise DataError(f"{path} is a JPEG, which blurs labels into each other; save label maps as PNG")
    if upright.mode in ("L", "P", "I", "1") or upright.mode.startswith("I;16"):
        return np.asarray(upright).astype(np.int32)
    if upright.mode not in ("RGB", "RGBA"):
        raise DataError(f"{path} holds pixels of mode {upright.mode}, no labels; {_PALETTE_REMEDY}")
    if palette is None:
        raise DataError(f"{path} holds colours, and labels are numbers; {_PALETTE_REMEDY}")
    red, green, blue = np.asarray(upright.convert("RGB")).astype(np.int32).transpose(2, 0, 1)
    colours, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    if strange := [int(colour) for colour in colours if int(colour) not in palette]:
        shown = ", ".join(str(strange[0] >> shift & 255) for shift in (16, 8, 0))
        raise DataError(f"{path} holds the colour ({shown}), which is not in the palette; add it or mend the map")
    return np.array([palette[int(colour)] for colour in colours], np.int32)[places].reshape(red.shape)


def read_palette(path: Path) -> Palette:
    """A palette file: lines `R G B`, the first for label 0; or a CSV file with the columns label,r,g,b."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
        if path.suffix == ".csv":
            rows = [tuple(int(row[key]) for key in ("label", "r", "g", "b")) for row in csv.DictReader(lines)]
        else:
            rows = [(number, *map(int, line.split())) for number, line in enumerate(filter(str.strip, lines))]
        if not rows or any(len(row) != 4 or not all(0 <= value <= 255 for value in row) for row in rows):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        form = "the columns label,r,g,b" if path.suffix == ".csv" else "a line R G B for each class"
        raise DataError(f"{path} is no palette: it needs {form}, with numbers from 0 to 255; mend it") from error
    return {red << 16 | green << 8 | blue: label for label, red, green, blue in rows}


def label_maps(largest: int, dont_care: bool, instances: bool, classes: int | None) -> LabelMaps:
    """What maps hold whose largest label (255 aside) is `largest`; `classes` is the number that the user says."""
    if classes is not None and not 1 <= classes <= DONT_CARE:
        raise SpecError(f"--classes {classes} is not possible; give 1 to {DONT_CARE}")
    if classes is None and largest >= DONT_CARE:
        raise DataError(
            f"the largest label is {largest}, and at most {DONT_CARE - 1} can be used; are these instance maps? "
            "number the classes from 0"
        )
    return LabelMaps(classes=classes or largest + 1, dont_care=dont_care, instances=instances)


def check_labels(labels: Int32[np.ndarray, "height width"], maps: LabelMaps, path: Path) -> None:
    """Raise a `DataError` for a label out of range."""
    wrong = (labels < 0) | (labels >= maps.classes)
    if maps.dont_care:
        wrong &= labels != DONT_CARE
    if wrong.any():
        value = int(labels[wrong].max())
        also = f" and {DONT_CARE} for pixels of no class" if maps.dont_care else ""
        more = f"pass --classes {value + 1} or mend" if maps.classes <= value < DONT_CARE else "mend"
        raise DataError(
            f"{path} holds the label {value}; labels are 0 to {maps.classes - 1}{also} here: {more} the map"
        )


def pack(
    labels: Int32[np.ndarray, "height width"], instances: Int32[np.ndarray, "height width"] | None, path: Path
) -> UInt8[np.ndarray, "height width bytes"]:
    """Labels in one byte, and instances, numbered anew from 0, in two more. `path` is that of the instances."""
    if instances is None:
        return labels.astype(np.uint8)[:, :, None]
    ids, dense = np.unique(instances, return_inverse=True)
    if len(ids) > _BIGGEST_ID:
        raise DataError(f"{path} holds {len(ids)} instances, and at most {_BIGGEST_ID} can be told apart; mend it")
    dense = dense.reshape(instances.shape)
    return np.stack([labels, dense & 255, dense >> 8], axis=2).astype(np.uint8)


def encode(
    packed: UInt8[Any, "batch height width bytes"], maps: LabelMaps
) -> Float[Tensor, "batch channels height width"]:
    """One-hot classes, then "do not care", then the edges of the instances: all 0 or 1.

    An array gives a tensor on the CPU, a tensor one on its own device.
    """
    import torch

    if not isinstance(packed, np.ndarray):
        labels = packed[..., 0]
        if maps.dont_care:
            labels = labels.masked_fill(labels == DONT_CARE, maps.classes)
        channels = torch.arange(maps.classes + maps.dont_care, dtype=torch.uint8, device=packed.device)
        planes = labels[:, None] == channels[:, None, None]
        return (torch.cat([planes, edges(packed)[:, None]], 1) if maps.instances else planes).float()
    # in numpy: see `images.to_tensor`
    labels = packed[..., 0].astype(np.int64)
    if maps.dont_care:
        labels[labels == DONT_CARE] = maps.classes
    planes = np.zeros((len(packed), maps.channels, *packed.shape[1:3]), np.float32)
    np.put_along_axis(planes, labels[:, None], np.float32(1), axis=1)
    if maps.instances:
        planes[:, -1] = edges(packed)
    return torch.from_numpy(planes)


def edges(packed: UInt8[Any, "batch height width 3"]) -> Bool[Any, "batch height width"]:
    """Where the instance of a pixel differs from that of the pixel above, below, left or right of it."""
    low, high = packed[..., 1], packed[..., 2]
    if isinstance(packed, np.ndarray):
        ids = low.astype(np.uint16) | high.astype(np.uint16) << 8
    else:
        ids = low.int() | high.int() << 8
    found = ids < 0  # nowhere yet
    across, down = ids[:, :, 1:] != ids[:, :, :-1], ids[:, 1:] != ids[:, :-1]
    found[:, :, 1:] |= across
    found[:, :, :-1] |= across
    found[:, 1:] |= down
    found[:, :-1] |= down
    return found


def coloured(
    packed: UInt8[np.ndarray, "batch height width bytes"], maps: LabelMaps
) -> UInt8[np.ndarray, "batch height width 3"]:
    """Label maps for the eye: each class in a colour of its own, 255 and the edges of instances black."""
    hues = np.arange(256) * 0.618034 % 1  # the golden section keeps neighbouring classes apart
    colours = np.array([colorsys.hls_to_rgb(hue, 0.55 + 0.15 * (n % 3 - 1), 0.65) for n, hue in enumerate(hues)])
    colours[DONT_CARE] = 0
    shown = (colours * 255).round().astype(np.uint8)[packed[..., 0]]
    if maps.instances:
        shown[edges(packed)] = 0
    return shown
