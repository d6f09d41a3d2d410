"""The images of a task as an evaluation reads them: as 8-bit pixels, on its device where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt
from torch import Tensor

from pocketgan.data.batches import Batch, Targets
from pocketgan.data.cache import Examples, Images
from pocketgan.data.images import to_tensor
from pocketgan.data.labels import encode
from pocketgan.data.packed import Packed
from pocketgan.metrics.stream import KEPT, Stream
from pocketgan.units import Size

#: images of a batch on a CPU; another number changes figures in their last digits
BATCH = 16

#: pixels of a batch on an accelerator: 32 images of 256 x 256, so that it waits little for the host
PIXELS = 1 << 21


def batch_on(device: torch.device, size: Size) -> int:
    """How many images of a size (height, width) an evaluation gives to a network at once."""
    return BATCH if device.type == "cpu" else max(BATCH, PIXELS // (size[0] * size[1]))


class Resident:
    """The images of one domain, encoded batch by batch.

    On an accelerator the pixels travel as 8 bits and are encoded there; up to `KEPT` bytes of them stay there. On a
    CPU they are read from the cache's memory map each time. `order`: which images, and in which order.
    """

    def __init__(self, images: Images, device: torch.device, order: np.ndarray | None = None) -> None:
        self.images, self.device = images, device
        self.order = np.arange(len(images)) if order is None else order
        self.names = [images.names[place] for place in self.order]
        bytes_of_one = int(np.prod(images.pixels.shape[1:])) * images.pixels.dtype.itemsize
        keeps = device.type != "cpu" and len(self.order) * bytes_of_one <= KEPT
        self._kept = torch.from_numpy(self._pixels(slice(None))).to(device) if keeps else None

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, chosen: slice) -> Float[Tensor, "batch channels height width"]:
        """Images in [-1, 1], label maps as 0 and 1, on the device; equal to the last bit on every device."""
        if self._kept is None:
            return Packed(self._pixels(chosen), self.images.labels).on(self.device)
        kept = self._kept[chosen]
        return encode(kept, self.images.labels) if self.images.labels else to_tensor(kept)

    def _pixels(self, chosen: slice) -> UInt[np.ndarray, "batch height width bytes"]:
        return self.images.pixels[self.order[chosen]]


def sources_on(
    device: torch.device, examples: Examples, order: np.ndarray | None = None, ends: Sequence[int] = ()
) -> Stream[Batch]:
    """The inputs of a split with their targets; without pairs with none.

    `order`: which of them, and in which order. `ends`: numbers of images after which a batch ends in any case.
    """
    x = Resident(examples.sources, device, order)
    y = Resident(examples.targets, device, order if examples.paired else np.arange(0))

    def batches() -> Iterator[Batch]:
        for chosen in _slices(x, ends):
            yield Batch(x[chosen], y[chosen], tuple(x.names[chosen]))

    return Stream(batches)


def targets_on(device: torch.device, examples: Examples) -> Stream[Targets]:
    """The targets of a split, be it in pairs or not."""
    y = Resident(examples.targets, device)
    return Stream(lambda: (Targets(y[chosen], tuple(y.names[chosen])) for chosen in _slices(y)))


def _slices(images: Resident, ends: Sequence[int] = ()) -> Iterator[slice]:
    size = images.images.pixels.shape[1:3]
    starts = sorted({*range(0, len(images), batch_on(images.device, size)), *ends, len(images)} - {0})
    return (slice(first, last) for first, last in zip([0, *starts], starts, strict=False))
