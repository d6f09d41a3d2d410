"""AlexNet, the convolutions: the activations that LPIPS compares."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.download import Progress
from pocketgan.pretrained.weights import Source, find_weights, load_frozen

SOURCE = Source(
    name="alexnet",
    file="alexnet-owt-7be5be79.pth",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    size=244_408_911,
    licence="BSD-3-Clause (torchvision), trained on ImageNet",
)


class AlexNet(nn.Module):
    """The five convolutions of the one-GPU AlexNet: normalised images in, `relu1` to `relu5` out.

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    @classmethod
    def load(cls, weights: Path | None = None, *, progress: Progress | None = None) -> AlexNet:
        """The network trained on ImageNet, in float32, in eval mode, frozen; weights by `find_weights`."""
        return load_frozen(cls(), find_weights(SOURCE, weights, progress))

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """The rectified activations, the shallowest first. Images are at least 31 pixels high and wide."""
        found: dict[str, Tensor] = {}
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found[f"relu{len(found) + 1}"] = x
        return found
