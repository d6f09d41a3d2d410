"""DRN-D-105: the segmenter by which the papers score generated street scenes of Cityscapes."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pocketgan.errors import DataError
from pocketgan.pretrained.unpinned import find_unpinned
from pocketgan.pretrained.weights import read_tensors

FILE = "drn-d-105_ms_cityscapes.pth"
PAGE = "https://github.com/fyu/drn"
CLASSES = 19
#: how much smaller the features are than the image
STRIDE = 8


def _plain(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 * dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class _Bottleneck(nn.Module):
    """1x1 to a quarter of the outputs, 3x3, 1x1 back; added to the input, projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int):
        super().__init__()
        inner = outputs // 4
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


def _stage(inputs: int, outputs: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    first = _Bottleneck(inputs, outputs, stride, dilation)
    return nn.Sequential(first, *(_Bottleneck(outputs, outputs, 1, dilation) for _ in range(blocks - 1)))


class DRN(nn.Module):
    """The dilated residual network DRN-D-105 with 19 classes: normalised images in, log-probabilities out.

    Tensors carry the official names.

    Source: Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017, section 5 (arch D).
    """

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(
            _plain(3, 16, kernel=7),
            _plain(16, 16),
            _plain(16, 32, stride=2),
            _stage(32, 256, blocks=3, stride=2),
            _stage(256, 512, blocks=4, stride=2),
            _stage(512, 1024, blocks=23, dilation=2),
            _stage(1024, 2048, blocks=3, dilation=4),
            _plain(2048, 512, dilation=2),
            _plain(512, 512),
        )
        self.seg = nn.Conv2d(512, CLASSES, 1)
        self.up = nn.ConvTranspose2d(
            CLASSES, CLASSES, 2 * STRIDE, STRIDE, padding=STRIDE // 2, groups=CLASSES, bias=False
        )
        with torch.no_grad():
            self.up.weight.copy_(_bilinear(STRIDE))

    @classmethod
    def load(cls, weights: Path | None = None) -> "DRN":
        """The network trained on Cityscapes (`drn-d-105_ms_cityscapes.pth`), in eval mode, frozen.

        Raises DataError where the file is missing or of another network.
        """
        file = find_unpinned("drn", FILE, PAGE, weights)
        network = cls()
        try:
            network.load_state_dict(read_tensors(file))
        except RuntimeError as error:
            raise DataError(f"{file} holds no DRN-D-105 of {CLASSES} classes; give {FILE}") from error
        return network.eval().requires_grad_(False)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 19 h_out w_out"]:
        """Log-probabilities at the size of the image, rounded up to multiples of 8."""
        return self.up(self.seg(self.base(x))).log_softmax(dim=1)


def _bilinear(stride: int) -> Float[Tensor, "side side"]:
    """The kernel with which a transposed convolution interpolates linearly."""
    side = 2 * stride
    line = 1 - (torch.arange(side) - (side - 1) / 2).abs() / stride
    return line.outer(line)
