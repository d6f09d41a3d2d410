"""LPIPS: how different two images look, by the features of a classifier and weights fitted to human judgement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.data.images import seen
from pocketgan.download import Progress
from pocketgan.errors import DataError
from pocketgan.pretrained.alexnet import AlexNet
from pocketgan.pretrained.squeezenet import SqueezeNet
from pocketgan.pretrained.vgg import Vgg
from pocketgan.pretrained.weights import BUNDLED, read_tensors

Backbone = Literal["alex", "squeeze", "vgg"]

_VGG_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")

#: channels at each tap
_WIDTHS: dict[Backbone, tuple[int, ...]] = {
    "alex": (64, 192, 384, 256, 256),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
    "vgg": (64, 128, 256, 512, 512),
}

# ImageNet's means and deviations, moved from [0, 1] to [-1, 1], as published with the heads.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class Lpips(nn.Module):
    """LPIPS v0.1: the distance of two images in [-1, 1], 0 for equal ones.

    At each tap the features are scaled to unit length over the channels; their squared differences are weighted by
    channel, averaged over the positions, and summed over the taps. The figure depends on the size of the images:
    at least 31 pixels for alex, 17 for squeeze, 16 for vgg.

    Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: nn.Module, heads: Sequence[Float[Tensor, " _"]]) -> None:
        """backbone: normalised images to activations by tap. heads: the weights of each tap's channels."""
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ParameterList(head[None, :, None, None] for head in heads)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)

    @classmethod
    def load(
        cls,
        backbone: Backbone = "alex",
        weights: Path | None = None,
        *,
        heads: Path | None = None,
        progress: Progress | None = None,
    ) -> Lpips:
        """LPIPS with trained weights, in eval mode, frozen.

        weights: those of the backbone, of torchvision; found as `find_weights` does.
        heads: the bundled v0.1 by default; else an official file of heads for this backbone.
        Raises `DataError` where a file is missing or does not fit.
        """
        network: nn.Module
        if backbone == "alex":
            network = AlexNet.load(weights, progress=progress)
        elif backbone == "squeeze":
            network = SqueezeNet.load(weights, progress=progress)
        else:
            network = Vgg.load(16, _VGG_TAPS, weights, progress=progress)
        path = heads or BUNDLED / f"lpips_{backbone}.safetensors"
        return cls(network, _read_heads(path, backbone)).eval().requires_grad_(False)

    def forward(
        self,
        images: Float[Tensor, "batch _ height width"],
        targets: Float[Tensor, "batch _ height width"],
    ) -> Float[Tensor, " batch"]:
        """The distance of each image to its own target."""
        ours, theirs = self._features(seen(images)), self._features(seen(targets))
        total = torch.zeros(len(images), dtype=images.dtype, device=images.device)
        for head, x, y in zip(self.heads, ours, theirs, strict=True):
            total = total + (head * (x - y).square()).sum(dim=1).mean(dim=(1, 2))
        return total

    def _features(self, images: Tensor) -> list[Tensor]:
        """Of each tap, scaled to unit length over the channels."""
        found = self.backbone((images - self.shift) / self.scale).values()
        return [x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + _EPSILON) for x in found]


def _read_heads(path: Path, backbone: Backbone) -> list[Tensor]:
    """The weights of each tap's channels, the shallowest first."""
    found = {name.partition(".")[0]: tensor.float().flatten() for name, tensor in read_tensors(path).items()}
    heads = [found[name] for name in sorted(found)]
    if tuple(len(head) for head in heads) != _WIDTHS[backbone]:
        raise DataError(f"{path} holds no LPIPS heads for {backbone}; give the published v0.1 file for {backbone}")
    return heads
