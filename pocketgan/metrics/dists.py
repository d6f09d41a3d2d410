"""DISTS: how different two images look, tolerant of texture that is drawn anew."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pocketgan.data.images import seen
from pocketgan.download import Progress
from pocketgan.errors import DataError
from pocketgan.pretrained.vgg import Vgg
from pocketgan.pretrained.weights import Source, find_weights, read_tensors

SOURCE = Source(
    name="dists",
    file="dists-f5e65c96.pt",
    url=(
        "https://raw.githubusercontent.com/dingkeyan93/DISTS/"
        "1267d8cb626c98706db3697422701c56a85ebf2e/DISTS_pytorch/weights.pt"
    ),
    sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
    size=12_288,
    licence="MIT",
)

_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
#: of the image and of all taps
_CHANNELS = 3 + 64 + 128 + 256 + 512 + 512

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_C1 = _C2 = 1e-6


class HannPool(nn.Module):
    """Halves the sides by the root of the blurred squares: 3x3 Hann window, stride 2, without aliasing."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", window[:, None] * window, persistent=False)

    def forward(self, x: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch channels h_out w_out"]:
        window = self.window.expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


class Dists(nn.Module):
    """DISTS: the distance of two images in [-1, 1], 0 for equal ones.

    In the image and at five taps of VGG16 (`HannPool` between its stages), each channel is compared by its mean
    (texture: weight alpha) and by its covariance over the positions (structure: weight beta):
    1 - sum(alpha (2 mx my + c1) / (mx^2 + my^2 + c1) + beta (2 sxy + c2) / (sx^2 + sy^2 + c2)) / sum(alpha + beta).
    It was fitted on images whose shorter side is 256, which resizing is the caller's.

    Source: Ding et al., "Image Quality Assessment: Unifying Structure and Texture Similarity", TPAMI 2020.
    """

    alpha: Tensor
    beta: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self, network: nn.Module, alpha: Float[Tensor, " channels"], beta: Float[Tensor, " channels"]
    ) -> None:
        """network: normalised images to activations by tap. alpha, beta: of the image's and the taps' channels."""
        super().__init__()
        self.network = network
        total = alpha.sum() + beta.sum()
        self.register_buffer("alpha", alpha / total)
        self.register_buffer("beta", beta / total)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None], persistent=False)

    @classmethod
    def load(
        cls, vgg16: Path | None = None, weights: Path | None = None, *, progress: Progress | None = None
    ) -> Dists:
        """DISTS with trained weights, in eval mode, frozen.

        vgg16: torchvision's weights. weights: the official `weights.pt` (alpha and beta). Both are found as
        `find_weights` does; raises `DataError` where one is missing or does not fit.
        """
        path = find_weights(SOURCE, weights, progress)
        found = {name: tensor.float().flatten() for name, tensor in read_tensors(path).items()}
        if {name: len(tensor) for name, tensor in found.items()} != {"alpha": _CHANNELS, "beta": _CHANNELS}:
            raise DataError(f"{path} holds no weights of DISTS (alpha and beta); give its published file")
        network = Vgg.load(16, _TAPS, vgg16, pool=HannPool(), progress=progress)
        return cls(network, found["alpha"], found["beta"]).eval().requires_grad_(False)

    def forward(
        self,
        images: Float[Tensor, "batch _ height width"],
        targets: Float[Tensor, "batch _ height width"],
    ) -> Float[Tensor, " batch"]:
        """The distance of each image to its own target."""
        texture, structure = [], []
        for x, y in zip(self._features(seen(images)), self._features(seen(targets)), strict=True):
            mx, my = x.mean(dim=2), y.mean(dim=2)
            x, y = x - mx.unsqueeze(2), y - my.unsqueeze(2)
            texture.append((2 * mx * my + _C1) / (mx.square() + my.square() + _C1))
            covariance, spread = (x * y).mean(dim=2), (x.square() + y.square()).mean(dim=2)
            structure.append((2 * covariance + _C2) / (spread + _C2))
        return 1 - torch.cat(texture, dim=1) @ self.alpha - torch.cat(structure, dim=1) @ self.beta

    def _features(self, images: Tensor) -> list[Tensor]:
        """The image in [0, 1] and the activations, their positions in one row."""
        images = (images + 1) / 2
        activations = self.network((images - self.mean) / self.deviation)
        return [x.flatten(2) for x in (images, *activations.values())]
