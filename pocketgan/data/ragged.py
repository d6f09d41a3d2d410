"""Images of different sizes, mapped from one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt

from pocketgan.files import SEAL


class Ragged:
    """A sequence of images, each (height, width, channels), as one file holds them: pixels, all sizes, its seal.

    Attributes:
        sides: height and width of each.
        shape: how many there are, and the channels of each. dtype: of their numbers.
    """

    def __init__(self, pixels: UInt[np.ndarray, " numbers"], sides: Int64[np.ndarray, "samples 2"], channels: int):
        self.sides, self.shape = sides, (len(sides), channels)
        self.dtype, self._pixels = pixels.dtype, pixels
        self._ends = np.cumsum(sides.prod(axis=1) * channels)

    @classmethod
    def mapped(cls, path: Path, count: int, channels: int, dtype: Any = np.uint8) -> Ragged | None:
        """The images of a file; None where there is no such file, or not of so many."""
        try:
            every = np.asarray(np.memmap(path, np.uint8, mode="r"))[:-SEAL]
        except (OSError, ValueError):
            return None
        if len(every) < 16 * count:
            return None
        pixels, ending = every[: len(every) - 16 * count], every[len(every) - 16 * count :]
        sides = np.frombuffer(ending.tobytes(), "<i8").reshape(count, 2)
        numbers = int(sides.prod(axis=1).sum()) * channels
        whole = (sides > 0).all() and numbers * np.dtype(dtype).itemsize == len(pixels)
        return cls(pixels.view(dtype), sides, channels) if whole else None

    @staticmethod
    def ending(sides: Sequence[tuple[int, ...]]) -> bytes:
        """What follows the pixels in a file."""
        return np.array(sides, "<i8").tobytes()

    def __len__(self) -> int:
        return len(self.sides)

    def __iter__(self) -> Iterator[UInt[np.ndarray, "height width channels"]]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: Any) -> UInt[np.ndarray, "height width channels"]:
        end, (height, width), channels = self._ends[place], self.sides[place], self.shape[1]
        return self._pixels[end - height * width * channels : end].reshape(height, width, channels)
