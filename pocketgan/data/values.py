"""What the images of a domain hold: how many channels, and which values are black and white.

A network sees every channel between -1 (`low`) and 1 (`high`). On the way there pixels are kept in 8 or 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pocketgan.data.raster import Header, Raster, suffix_for
from pocketgan.errors import DataError, SpecError
from pocketgan.units import Number, number_text

#: low and high
Range = tuple[Number, Number]
#: so many numbers are made others at once
_TOGETHER = 1 << 20
_GRAY = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as in ITU-R BT.601


class Values(BaseModel):
    """What images hold; by default red, green and blue from 0 to 255.

    Images of 8 bits go by 0 to 255 also where `high` is above 255, so that both kinds may lie in one folder.

    Attributes:
        low, high: the values that a network sees as -1 and 1; what lies beyond is clipped.
        dtype: what a picture of such values is written as; all but uint8 are kept in 16 bits.

        Values(channels=1, high=4095, dtype="uint16")  # gray, of 12 bits
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(default=3, ge=1)
    low: float = 0
    high: float = 255
    dtype: Literal["uint8", "uint16", "int16", "float32"] = "uint8"

    @model_validator(mode="after")
    def _ordered(self) -> Values:
        if not self.low < self.high:
            raise SpecError(f"a range goes from its lower to its higher value; {self._range} does not")
        return self

    @property
    def kept(self) -> Any:
        """The type of kept pixels."""
        return np.uint8 if self.dtype == "uint8" else np.uint16

    @property
    def learnt_deep(self) -> bool:
        """Whether these are values of other files than those of 8 bits."""
        return self.dtype != "uint8" or self.high > 255

    @property
    def suffix(self) -> str:
        """That of the files that hold pictures of such values."""
        return suffix_for(np.dtype(self.dtype), self.channels)

    @property
    def _range(self) -> str:
        return " to ".join(f"{end:,.0f}" if end == int(end) else number_text(end) for end in (self.low, self.high))

    def __str__(self) -> str:
        kinds = {1: "gray", 3: "3 channels (as colours)"}
        return f"{kinds.get(self.channels, f'{self.channels} channels')}, values {self._range}"

    def accepts(self, header: Header) -> bool:
        """Whether an image can be taken: with as many channels; gray for colours and colours for gray; without its
        transparency."""
        found = header.channels
        if header.alpha and found == self.channels:
            return True
        return self.channels == found - header.alpha or {self.channels, found - header.alpha} == {1, 3}

    def pixels(self, raster: Raster) -> Raster:
        """A raster as it is kept, in 8 or 16 bits: its values between `low` and `high`, in equal steps."""
        low, high, top = self.low, self.high, np.iinfo(self.kept).max
        if raster.dtype == np.uint8 and high > 255:
            low, high = 0, 255
        channels = raster.shape[2]
        if (channels, self.channels) == (1, 3):
            raster = np.repeat(raster, 3, axis=2)
        elif (channels, self.channels) == (3, 1):
            gray = raster @ _GRAY
            raster = (gray.round() if raster.dtype.kind in "ui" else gray).astype(raster.dtype)[:, :, None]
        if raster.dtype == self.kept and (low, high) == (0, top):
            return raster

        def levels(rows: np.ndarray) -> np.ndarray:
            return ((rows.astype(np.float64) - low) * (top / (high - low))).round().clip(0, top)

        return _by_rows(levels, raster, self.kept)

    def restored(self, seen: np.ndarray) -> Raster:
        """What a network gives, (height, width, channels) from -1 to 1, in values of its files."""
        low, high = (0, 255) if self.dtype == "uint8" and self.high > 255 else (self.low, self.high)

        def values(rows: np.ndarray) -> np.ndarray:
            exact = low + (rows.astype(np.float64).clip(-1, 1) + 1) / 2 * (high - low)
            return exact if self.dtype == "float32" else exact.round()

        return _by_rows(values, seen, np.dtype(self.dtype))

    def beyond(self, raster: Raster) -> bool:
        """Whether values will be clipped."""
        if raster.dtype == np.uint8 and self.high > 255:
            return False
        return bool(raster.min() < self.low or raster.max() > self.high)


def _by_rows(function: Callable[[np.ndarray], np.ndarray], raster: np.ndarray, dtype: Any) -> np.ndarray:
    """What a function makes of each number, some rows at a time: its numbers of 64 bits are never all there."""
    made = np.empty(raster.shape, dtype)
    together = max(1, _TOGETHER // max(1, math.prod(raster.shape[1:])))
    for first in range(0, len(raster), together):
        made[first : first + together] = function(raster[first : first + together]).astype(dtype)
    return made


def dtype_for(low: Number, high: Number, whole: bool | None = None) -> Any:
    """The type of files with values of this range. `whole`: whether they are integers; default, as the range."""
    if whole is None:
        whole = low == int(low) and high == int(high) and high - low > 2
    if whole and low >= 0 and high <= 255:
        return "uint8"
    if whole and low >= 0 and high <= 65535:
        return "uint16"
    return "int16" if whole and low >= -32768 and high <= 32767 else "float32"


class Survey:
    """Finds the `Values` of a set, file by file."""

    def __init__(self) -> None:
        self.first: dict[tuple[int, bool], Path] = {}
        self.first_of_eight: Path | None = None
        self.first_deep: Path | None = None
        self.shallow = self.deep = 0
        self.least, self.most = np.inf, -np.inf
        self.whole = True

    def add(self, header: Header, raster: Raster | None, path: Path) -> None:
        """`raster`: the values of an image that is deep, whose range only these tell."""
        self.first.setdefault((header.channels - header.alpha, header.alpha), path)
        if raster is None:
            self.shallow += 1
            self.first_of_eight = self.first_of_eight or path
            return
        self.deep += 1
        self.first_deep = self.first_deep or path
        self.least, self.most = min(self.least, float(raster.min())), max(self.most, float(raster.max()))
        self.whole &= raster.dtype.kind in "ui"

    def values(self, channels: int | None = None, range_: Range | None = None) -> Values:
        """What the set holds.

        Args:
            channels: as many, whatever the files say. range_: this, instead of the one that is found.

        Raises `DataError` where files differ in their channels, or cannot have that many, and where files of 8 bits
        are beside others on whose scale they would all be clipped.
        """
        if range_ and not self.deep and range_[1] > 255:
            raise SpecError(
                f"--range {range_[0]:g}:{range_[1]:g} is beyond the 0 to 255 of images of 8 bits, as "
                f"{next(iter(self.first.values()))} is; leave it out"
            )
        dtype, found = self._range(*(range_ or (self.least, self.most)))
        low, high = range_ or found
        if not range_ and self.shallow and self.deep and (low > 0 or high < 255):
            raise DataError(
                f"{self.first_of_eight} has 8 bits, and {self.first_deep} and its like hold {low:g} to {high:g}: "
                "on one scale the values of 8 bits would be clipped; give all images in one of the two kinds"
            )
        return Values(channels=channels or self._channels(), low=low, high=high, dtype=dtype)

    def _channels(self) -> int:
        counts = {count for count, _ in self.first}
        if counts <= {1, 3}:
            return max(counts, default=3)
        if len(counts) > 1:
            (one, first), (other, second) = sorted({c: path for (c, _), path in self.first.items()}.items())[:2]
            raise DataError(
                f"{second} has {other} channels and {first} has {one}; all images of a set need as many: mend one"
            )
        return counts.pop()

    def _range(self, least: Number, most: Number) -> tuple[Any, Range]:
        """The type of such values, and their range: that of the bits which integers from 0 on need; 0 to 1 or -1 to
        1 of floats within; else the least and the most that there is."""
        if not self.deep:
            return "uint8", (0, 255)
        if self.whole and least >= 0 and most <= 65535:
            high = next(2**bits - 1 for bits in (1, 8, 10, 12, 14, 16) if most < 2**bits)
            return ("uint8" if self.shallow else "uint16"), (0, high)
        if not self.whole and least >= -1 and most <= 1:
            least, most = (0, 1) if least >= 0 else (-1, 1)
        elif least == most:
            most = least + 1
        return ("uint8" if self.shallow else dtype_for(least, most, self.whole)), (least, most)
