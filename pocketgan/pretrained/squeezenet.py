"""SqueezeNet 1.1, the convolutions: the activations that LPIPS compares."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pocketgan.download import Progress
from pocketgan.pretrained.weights import Source, find_weights, load_frozen

SOURCE = Source(
    name="squeezenet1_1",
    file="squeezenet1_1-b8a52dc0.pth",
    url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
    sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    size=4_958_839,
    licence="BSD-3-Clause (torchvision), trained on ImageNet",
)

#: layers whose outputs LPIPS takes: the rectified first convolution, and the last Fire module before each change of
#: size or width
_TAPS = {1: "relu1", 4: "fire3", 7: "fire5", 9: "fire6", 10: "fire7", 11: "fire8", 12: "fire9"}


class _Fire(nn.Module):
    """Squeeze by 1x1, expand by 1x1 and by 3x3 side by side, each rectified."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _ height width"]:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat((self.expand1x1(x), self.expand3x3(x)), dim=1))


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 without its classifier: normalised images in, `relu1`, `fire3` ... `fire9` out.

    Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016; version 1.1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            _Fire(64, 16, 64),
            _Fire(128, 16, 64),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            _Fire(128, 32, 128),
            _Fire(256, 32, 128),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            _Fire(256, 48, 192),
            _Fire(384, 48, 192),
            _Fire(384, 64, 256),
            _Fire(512, 64, 256),
        )

    @classmethod
    def load(cls, weights: Path | None = None, *, progress: Progress | None = None) -> SqueezeNet:
        """The network trained on ImageNet, in float32, in eval mode, frozen; weights by `find_weights`."""
        return load_frozen(cls(), find_weights(SOURCE, weights, progress))

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """The activations, the shallowest first. Images are at least 17 pixels high and wide."""
        found: dict[str, Tensor] = {}
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _TAPS:
                found[_TAPS[index]] = x
        return found
