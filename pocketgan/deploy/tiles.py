"""A picture of any size in bounded memory: value by value of the network, each in tiles with their halos.

What later values are made of lies in temporary files meanwhile. So the statistics of norms are those of the whole
picture, which comes out as without tiles, but for rounding. To make each tile in one pass instead, with statistics
that are known before, takes as long: the halo of the whole network is larger than those of its layers.
"""

from __future__ import annotations

import ctypes
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.deploy.exported import OfOneSize
from pocketgan.deploy.regional import Box, Held
from pocketgan.deploy.regions import Regions
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import Step, Untileable
from pocketgan.elastic.layer_costs import layer_costs
from pocketgan.errors import OutputError
from pocketgan.models import Model
from pocketgan.units import Size

#: side of a tile in pixels of the image; where a value is smaller than the image, its tiles are, too
TILE = 512
#: bytes that a picture may need in one piece; that is some four times those of the largest value in the network
WHOLE = 1 << 30
#: of a number
BYTES = 4


class Tiler:
    """Runs a model on one image at a time, in tiles where the picture is large.

    Args:
        run: the network as a function of one whole image.
        tile: side of a tile, for pictures with a longer side; 0 runs all of them whole. None: tiles of `TILE` for
            those that would need more than `WHOLE` bytes, if the network can be cut at all.

    `tiled` counts the pictures that were made in tiles.
    """

    def __init__(self, model: Model, run: Callable[[Tensor], Tensor], tile: int | None = None) -> None:
        self.model, self.run, self.tile = model, run, tile
        self.tiled = 0
        self._last: tuple[Size, Tiled | None] | None = None

    def __call__(self, image: Float[Tensor, "1 in height width"]) -> Float[Tensor, "1 out height width"]:
        size = (image.shape[2], image.shape[3])
        if self._last is None or self._last[0] != size:
            self._last = size, self._cut(size)
        if (cut := self._last[1]) is None:
            return self.run(image)
        self.tiled += 1
        return cut(image)

    def _cut(self, size: Size) -> Tiled | None:
        if self.tile is not None:
            return Tiled(self.model.network, size, self.tile) if 0 < self.tile < max(size) else None
        spec = self.model.spec.network if isinstance(self.model.spec, OfOneSize) else self.model.spec
        largest = max(math.prod(layer.out_shape) for layer in layer_costs(spec, *size))
        if 4 * largest * BYTES <= WHOLE:
            return None
        with suppress(Untileable):
            return Tiled(self.model.network, size, TILE)
        return None


class Tiled:
    """A network in evaluation mode on images of one size, in tiles.

    Args:
        tile: side of a tile.

    Raises `Untileable` for a network that looks at the whole picture by more than norms.
    """

    def __init__(self, network: nn.Module, size: Size, tile: int = TILE) -> None:
        self.regions, self.tile = Regions(network, size), tile

    @torch.inference_mode()
    def __call__(self, image: Float[Tensor, "1 in height width"]) -> Float[Tensor, "1 out height width"]:
        """The picture of one image. Raises `OutputError` where there is no room for the temporary files."""
        regions, last = self.regions, self.regions.last
        picture = Whole(image.new_empty(1, regions.steps[last].channels, *regions.steps[last].size))
        held: dict[int, Held] = {0: Whole(image)}
        statistics = {0: Statistics.of(image)} if 0 in regions.measured else {}
        places = sorted(regions.kept)[1:]
        until = {source: place for place in places for source in regions.sources(place, regions.kept)}
        try:
            for place in places:
                made = picture if place == last else _File(regions.steps[place], image.device)
                self._make(place, made, held, statistics)
                held[place] = made
                held = {source: value for source, value in held.items() if until.get(source, last) > place}
        except OSError as error:
            raise OutputError(
                f"tiles keep what they are made of in files, and there is no room in {tempfile.gettempdir()} "
                f"({error.strerror}); set TMPDIR to a folder on a larger disk"
            ) from error
        return picture.values

    def _make(
        self,
        place: int,
        made: Whole | _File,
        held: Mapping[int, Held],
        statistics: dict[int, Statistics],
    ) -> None:
        """Write all of a value, and note its statistics where norms use them."""
        regions = self.regions
        found: Statistics | None = None
        for box in _grid(regions.steps[place].size, regions.steps[0].size, self.tile):
            part = regions.compute(place, box, held, statistics, regions.kept)
            made.write(box, part)
            if place in regions.measured:
                found = Statistics.of(part).joined(found)
        if found:
            statistics[place] = found
        _give_back()


class Whole:
    """All of a value in memory."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def read(self, box: Box) -> Tensor:
        return box.of(self.values, Box.whole((self.values.shape[2], self.values.shape[3])))

    def write(self, box: Box, part: Tensor) -> None:
        self.read(box).copy_(part)


class _File:
    """All of a value in a temporary file: row by row, all channels of a pixel together."""

    def __init__(self, step: Step, device: torch.device) -> None:
        self.width, self.channels, self.device = step.size[1], step.channels, device
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with this value

    def read(self, box: Box) -> Tensor:
        pixels: Any = np.empty((*box.size, self.channels), np.float32)
        for row, line in zip(range(*box.rows), pixels, strict=True):
            os.preadv(self.file.fileno(), [memoryview(line).cast("B")], self._place(row, box))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self.device)

    def write(self, box: Box, part: Tensor) -> None:
        pixels = part[0].permute(1, 2, 0).contiguous().cpu().numpy()
        for row, line in zip(range(*box.rows), pixels, strict=True):
            os.pwrite(self.file.fileno(), memoryview(line).cast("B"), self._place(row, box))

    def _place(self, row: int, box: Box) -> int:
        return BYTES * self.channels * (row * self.width + box.columns[0])


def _give_back() -> None:
    """Return free memory to the system: glibc keeps what lies between pieces in use, and these are ever others."""
    with suppress(OSError, AttributeError):  # systems without glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _grid(size: Size, image: Size, tile: int) -> list[Box]:
    """Tiles of a value: those of the image, at the value's scale."""
    sides = [max(1, tile * own // of_image) for own, of_image in zip(size, image, strict=True)]
    rows, columns = (
        [(start, min(start + side, length)) for start in range(0, length, side)]
        for side, length in zip(sides, size, strict=True)
    )
    return [Box(row, column) for row in rows for column in columns]
