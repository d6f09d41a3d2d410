"""DeepLab v2 on ResNet-101, at three scales: the segmenter by which the papers score images of COCO-Stuff."""

from collections import OrderedDict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pocketgan.errors import DataError
from pocketgan.pretrained.unpinned import find_unpinned
from pocketgan.pretrained.weights import read_tensors

FILE = "deeplabv2_resnet101_msc-cocostuff164k-100000.pth"
PAGE = "https://github.com/kazuto1011/deeplab-pytorch/releases/tag/v1.0"
CLASSES = 182
RATES = (6, 12, 18, 24)
#: besides the image itself
SCALES = (0.5, 0.75)


class _ConvNorm(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1):
        padding = kernel // 2 * dilation
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
        super().__init__(OrderedDict(conv=convolution, bn=nn.BatchNorm2d(outputs)))


class _Bottleneck(nn.Module):
    """1x1 (which strides) to a quarter of the outputs, 3x3, 1x1 back; added to the input or its projection."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int):
        super().__init__()
        inner = outputs // 4
        self.reduce = _ConvNorm(inputs, inner, stride=stride)
        self.conv3x3 = _ConvNorm(inner, inner, kernel=3, dilation=dilation)
        self.increase = _ConvNorm(inner, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else _ConvNorm(inputs, outputs, stride=stride)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        y = F.relu(self.reduce(x), inplace=True)
        y = F.relu(self.conv3x3(y), inplace=True)
        return F.relu(self.increase(y) + self.shortcut(x), inplace=True)


def _stage(inputs: int, outputs: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    layers = [_Bottleneck(inputs, outputs, stride, dilation)]
    layers += [_Bottleneck(outputs, outputs, 1, dilation) for _ in range(blocks - 1)]
    return nn.Sequential(OrderedDict((f"block{number}", layer) for number, layer in enumerate(layers, 1)))


class _Pyramid(nn.Module):
    """3x3 convolutions at several dilations, summed (ASPP)."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        for number, rate in enumerate(RATES):
            self.add_module(f"c{number}", nn.Conv2d(inputs, classes, 3, padding=rate, dilation=rate))

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch classes height width"]:
        first, *others = (layer(x) for layer in self.children())
        for other in others:
            first += other
        return first


def _single(classes: int, blocks: tuple[int, int, int, int]) -> nn.Sequential:
    """The network at one scale: class scores at an eighth of the size."""
    stem = OrderedDict(
        conv1=nn.Sequential(OrderedDict(_ConvNorm(3, 64, kernel=7, stride=2).named_children(), relu=nn.ReLU(True))),
        pool=nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
    )
    return nn.Sequential(
        OrderedDict(
            layer1=nn.Sequential(stem),
            layer2=_stage(64, 256, blocks[0]),
            layer3=_stage(256, 512, blocks[1], stride=2),
            layer4=_stage(512, 1024, blocks[2], dilation=2),
            layer5=_stage(1024, 2048, blocks[3], dilation=4),
            aspp=_Pyramid(2048, classes),
        )
    )


class DeepLab(nn.Module):
    """DeepLab v2 on a ResNet (101 layers at the default ``blocks``): BGR images less their mean in, scores out.

    The image is also seen at 0.5 and 0.75 of its size; of the three scores of a place the highest counts. Tensors
    carry the names of the released files.

    Source: Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and
    Fully Connected CRFs", TPAMI 2018; weights of Nakashima, kazuto1011/deeplab-pytorch.
    """

    def __init__(self, classes: int = CLASSES, blocks: tuple[int, int, int, int] = (3, 4, 23, 3)):
        super().__init__()
        self.classes = classes
        self.base = _single(classes, blocks)

    @classmethod
    def load(cls, weights: Path | None = None) -> "DeepLab":
        """The network trained on COCO-Stuff 164k, in eval mode, frozen.

        Raises DataError where the file is missing or of another network.
        """
        file = find_unpinned("deeplab", FILE, PAGE, weights)
        network = cls()
        try:
            network.load_state_dict(read_tensors(file))
        except RuntimeError as error:
            raise DataError(f"{file} holds no DeepLab v2 of {CLASSES} classes; give {FILE}") from error
        return network.eval().requires_grad_(False)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes h_out w_out"]:
        """Scores before any softmax, at an eighth of the size: (n + 1) // 8 + 1 for a side of n pixels."""
        scores = self.base(x)
        for scale in SCALES:
            shrunk = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
            seen = F.interpolate(self.base(shrunk), scores.shape[-2:], mode="bilinear", align_corners=False)
            scores = torch.maximum(scores, seen)
        return scores
