"""The images of a task as an evaluation reads them: as 8-bit pixels, on its device where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pocketgan.data.batches import Batch, Targets
from pocketgan.data.cache import Examples, Images
from pocketgan.data.images import to_tensor
from pocketgan.data.labels import DONT_CARE, LabelMaps
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
        every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
        self._levels = to_tensor(every)[0, 0].flatten().to(device)
        bytes_of_one = int(np.prod(images.pixels.shape[1:]))
        keeps = device.type != "cpu" and len(self.order) * bytes_of_one <= KEPT
        self._kept = self._on_device(slice(None)) if keeps else None

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, chosen: slice) -> Float[Tensor, "batch channels height width"]:
        """Images in [-1, 1], label maps as 0 and 1, on the device; equal to the last bit on every device."""
        if self.device.type == "cpu":
            return self.images.encode(self._pixels(chosen))
        return self.decode(self._on_device(chosen) if self._kept is None else self._kept[chosen])

    def decode(
        self, pixels: UInt8[Tensor, "batch height width bytes"]
    ) -> Float[Tensor, "batch channels height width"]:
        """What `Images.encode` makes of pixels, on their device."""
        if self.images.labels:
            return encode(pixels, self.images.labels)
        return self._levels[pixels.permute(0, 3, 1, 2).int()]  # a table: devices divide differently

    def _pixels(self, chosen: slice) -> UInt8[np.ndarray, "batch height width bytes"]:
        return self.images.pixels[self.order[chosen]]

    def _on_device(self, chosen: slice) -> UInt8[Tensor, "batch height width bytes"]:
        return torch.from_numpy(self._pixels(chosen)).to(self.device)


def encode(
    packed: UInt8[Tensor, "batch height width bytes"], maps: LabelMaps
) -> Float[Tensor, "batch channels height width"]:
    """What `data.labels.encode` makes of packed label maps, on the device that they are on."""
    labels = packed[..., 0].long()
    if maps.dont_care:
        labels = labels.where(labels != DONT_CARE, maps.classes)
    planes = torch.zeros(len(packed), maps.channels, *packed.shape[1:3], device=packed.device)
    planes.scatter_(1, labels.unsqueeze(1), 1.0)
    if maps.instances:
        ids, edges = packed[..., 1].int() | packed[..., 2].int() << 8, planes[:, -1]
        for axis in (1, 2):
            differ = (ids.diff(dim=axis) != 0).float()
            for start in (0, 1):
                part = edges.narrow(axis, start, ids.shape[axis] - 1)
                part.copy_(part.maximum(differ))
    return planes


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
