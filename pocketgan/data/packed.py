"""The pixels of a batch on their way to a network: a byte a channel until they are where they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt

from pocketgan.data.images import to_tensor
from pocketgan.data.labels import LabelMaps, encode

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:  # decoding must not wait for torch
    Tensor = Any


class Packed(NamedTuple):
    """Pixels as they are stored, and what they mean: images, or label maps as `labels.pack` stores them."""

    pixels: UInt[np.ndarray, "batch height width channels"]
    labels: LabelMaps | None = None

    def on(self, device: torch.device) -> Float[Tensor, "batch planes height width"]:
        """What a network on that device sees of them: images in [-1, 1], label maps as 0 and 1.

        On a CPU it is computed in numpy. Elsewhere the bytes travel and the device computes the same numbers; from
        pinned memory, where CUDA copies while the host goes on.
        """
        import torch

        pixels: Any = self.pixels
        if device.type != "cpu":
            pixels = torch.from_numpy(np.ascontiguousarray(self.pixels))
            if device.type == "cuda":
                pixels = pixels.pin_memory()
            pixels = pixels.to(device, non_blocking=device.type == "cuda")
        return encode(pixels, self.labels) if self.labels else to_tensor(pixels)
