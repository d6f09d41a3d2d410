"""A pool of generated images: a discriminator also sees some of the generator's past.

Source: Shrivastava et al., CVPR 2017, section 2.3; CycleGAN, ICCV 2017.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class ImagePool:
    """Keeps up to `size` images; 0 turns it off."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(
        self, images: Float[Tensor, "batch channels height width"], rng: random.Random
    ) -> Float[Tensor, "batch channels height width"]:
        """As many images, without gradients: each is the new one, or with probability 1/2 a stored one whose place
        the new one takes. While the pool fills, all are kept and given back."""
        given = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image.clone())
            elif self.size and rng.random() < 0.5:
                place = rng.randrange(self.size)
                image, self.images[place] = self.images[place], image.clone()
            given.append(image)
        return torch.stack(given)

    def state_dict(self) -> dict[str, Any]:
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.images = [image.to(device) for image in state["images"]]
