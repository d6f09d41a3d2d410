"""The feature networks by name, and how images are prepared for each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.data.images import seen
from pocketgan.pretrained.inception import Inception, resize_clean, resize_legacy
from pocketgan.pretrained.mobilenet_v2 import WEIGHTS, MobileNetV2
from pocketgan.pretrained.vit import load_clip, load_dinov2


@dataclass(frozen=True)
class Encoder:
    """A feature network with its preparation of images.

    Attributes:
        network: the name of its weights, as in --weights NAME=FILE.
        load: the network, from a given file or where weights are found.
        prepare: images in [-1, 1] to what the network takes.
        truncated: what a generator gives becomes bytes by cutting fractions off, as in the papers, not by rounding.
    """

    network: str
    load: Callable[[Path | None], nn.Module]
    prepare: Callable[[Tensor], Tensor]
    truncated: bool = False


def unchanged(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
    """The network resizes by itself."""
    return images


ENCODERS = {
    "mobilenet_v2": Encoder("mobilenet_v2", lambda file: MobileNetV2.load(file or WEIGHTS), unchanged),
    "inception": Encoder("inception", Inception.load, resize_clean),
    "inception_legacy": Encoder("inception", Inception.load, resize_legacy, truncated=True),
    "dinov2": Encoder("dinov2", load_dinov2, unchanged),
    "clip": Encoder("clip", load_clip, unchanged),
}


class Encoders:
    """Several encoders, whose networks are loaded once each and run on batches of images."""

    def __init__(self, encoders: Iterable[str], weights: Mapping[str, Path], device: torch.device):
        """encoders: names of ENCODERS. weights: files of networks that are not to be looked for."""
        self.chosen = {name: ENCODERS[name] for name in sorted(set(encoders))}
        self.device = device
        self.networks: dict[str, nn.Module] = {}
        for encoder in self.chosen.values():
            if encoder.network not in self.networks:
                self.networks[encoder.network] = encoder.load(weights.get(encoder.network)).to(device)
        self._digests = {name: digest_of(network) for name, network in self.networks.items()}

    def digest(self, encoder: str) -> str:
        """SHA-256 of the weights behind an encoder."""
        return self._digests[self.chosen[encoder].network]

    def of_real(self, images: Float[Tensor, "batch _ height width"], encoders: Iterable[str]) -> dict[str, Tensor]:
        """By encoder, the features of images that come from 8 bits a channel, in [-1, 1]."""
        rounded = as_saved(seen(images))
        return {name: self._run(self.chosen[name], rounded) for name in encoders}

    def of_generated(
        self,
        images: Float[Tensor, "batch _ height width"],
        rounded: Float[Tensor, "batch _ height width"],
    ) -> dict[str, Tensor]:
        """By encoder, the features of images as a generator gives them, and rounded to 8 bits."""
        images, rounded = seen(images), seen(rounded)
        return {
            name: self._run(encoder, as_truncated(images) if encoder.truncated else rounded)
            for name, encoder in self.chosen.items()
        }

    def _run(
        self, encoder: Encoder, images: Float[Tensor, "batch _ height width"]
    ) -> Float[Tensor, "batch features"]:
        return self.networks[encoder.network](encoder.prepare(images))


def as_saved(images: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ height width"]:
    """Images in [-1, 1] as they read back from an 8-bit file: clipped, rounded to 256 levels."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def as_truncated(
    images: Float[Tensor, "batch _ height width"],
) -> Float[Tensor, "batch _ height width"]:
    """Images in [-1, 1] as the papers' code turns them into bytes: clipped, fractions of a level cut off."""
    return ((images.float() + 1) / 2 * 255).clamp(0, 255).floor() / 127.5 - 1


def digest_of(network: nn.Module) -> str:
    """SHA-256 of a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
