"""ESPNet: the small segmentation network whose weights travel with the package, for CamVid and for Cityscapes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.errors import DataError
from pocketgan.pretrained.weights import BUNDLED, read_tensors

#: the bundled weights: depths p = 2 and q = 8
WEIGHTS = {data: BUNDLED / f"espnet_{data}.safetensors" for data in ("camvid", "cityscapes")}
#: what the sides of an image must be a multiple of
STRIDE = 8
_DILATIONS = (1, 2, 4, 8, 16)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Conv(nn.Module):
    """A convolution without bias that keeps the size (halves it at stride 2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1):
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        return self.conv(x)


class _NormAct(nn.Module):
    """Batch normalisation and a leaky activation with a learned slope for each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.bn = _norm(channels)
        self.act = nn.PReLU(channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return self.act(self.bn(x))


class _ConvNormAct(_NormAct):
    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__(outputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        return super().forward(self.conv(x))


class _Pyramid(nn.Module):
    """Reduce to a fifth of the channels, filter at five dilations, join.

    The dilated maps (2, 4, 8, 16) are summed up one after the other before they are joined, which hides the grid
    that each of them alone leaves.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1):
        super().__init__()
        part = outputs // len(_DILATIONS)
        self.c1 = _Conv(inputs, part, kernel, stride)
        for dilation in _DILATIONS:
            filters = outputs - part * (len(_DILATIONS) - 1) if dilation == 1 else part
            self.add_module(f"d{dilation}", _Conv(part, filters, 3, dilation=dilation))

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        x = self.c1(x)
        near, *dilated = (getattr(self, f"d{dilation}")(x) for dilation in _DILATIONS)
        return torch.cat([near, *torch.stack(dilated).cumsum(0)], dim=1)


class _Down(_Pyramid):
    """A pyramid at half of the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, kernel=3, stride=2)
        self.bn = _norm(outputs)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        return self.act(self.bn(super().forward(x)))


class _Block(_Pyramid):
    """A pyramid at the same size; the input is added where the shapes agree."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.bn = _NormAct(outputs)
        self.residual = inputs == outputs

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs height width"]:
        y = super().forward(x)
        return self.bn(x + y if self.residual else y)


class _Encoder(nn.Module):
    """Features at a half of the size (with and without the shrunk image), at a quarter, scores at an eighth."""

    def __init__(self, classes: int, depths: tuple[int, int]):
        super().__init__()
        self.level1 = _ConvNormAct(3, 16, stride=2)
        self.b1 = _NormAct(16 + 3)
        self.level2_0 = _Down(16 + 3, 64)
        self.level2 = nn.Sequential(*(_Block(64, 64) for _ in range(depths[0])))
        self.b2 = _NormAct(2 * 64 + 3)
        self.level3_0 = _Down(2 * 64 + 3, 128)
        self.level3 = nn.Sequential(*(_Block(128, 128) for _ in range(depths[1])))
        self.b3 = _NormAct(2 * 128)
        self.classifier = _Conv(2 * 128, classes)
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        half = self.shrink(x)
        first = self.level1(x)
        joined = self.b1(torch.cat([first, half], 1))
        down = self.level2_0(joined)
        second = self.b2(torch.cat([self.level2(down), down, self.shrink(half)], 1))
        down = self.level3_0(second)
        third = self.b3(torch.cat([down, self.level3(down)], 1))
        return first, joined, second, self.classifier(third)


class ESPNet(nn.Module):
    """A segmentation network of 0.2 to 0.4 million parameters: normalised images in, class scores out.

    ``depths`` are the paper's α₂ and α₃ (p and q in the file names). ``joined`` says whether the last layers see
    the features at half of the size with the shrunk image (the CamVid weights) or without (those of Cityscapes).
    Images are BGR, their sides multiples of 8. Tensors carry the official names.

    Source: Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation",
    ECCV 2018.
    """

    def __init__(self, classes: int, depths: tuple[int, int] = (2, 8), joined: bool = False):
        super().__init__()
        self.joined = joined
        self.encoder = _Encoder(classes, depths)
        self.level3_C = _Conv(2 * 64 + 3, classes)
        self.br = _norm(classes)
        self.up_l3 = nn.Sequential(self._double(classes))
        self.combine_l2_l3 = nn.Sequential(_NormAct(2 * classes), _Block(2 * classes, classes))
        self.up_l2 = nn.Sequential(self._double(classes), _NormAct(classes))
        self.conv = _ConvNormAct(16 + 3 * joined + classes, classes)
        self.classifier = self._double(classes)

    @staticmethod
    def _double(classes: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(classes, classes, 2, stride=2, bias=False)

    @classmethod
    def load(cls, weights: Path | None = None, data: Literal["camvid", "cityscapes"] = "camvid") -> "ESPNet":
        """The network of a file of weights (its shape is read off it), or the bundled one for ``data``.

        In eval mode, frozen. Raises DataError for a file of another network.
        """
        file = weights or WEIGHTS[data]
        state = read_tensors(file)
        try:
            classes = len(state["br.weight"])
            depths = _depth(state, "encoder.level2."), _depth(state, "encoder.level3.")
            network = cls(classes, depths, joined=state["conv.conv.weight"].shape[1] == classes + 16 + 3)
            network.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise DataError(f"{file} holds no ESPNet; give a file of its pretrained/decoder") from error
        return network.eval().requires_grad_(False)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes height width"]:
        """Scores before any softmax, at the size of the image."""
        if x.shape[-2] % STRIDE or x.shape[-1] % STRIDE:
            raise DataError(
                f"ESPNet takes images whose sides are multiples of {STRIDE}, and got {x.shape[-1]} x {x.shape[-2]} "
                "pixels; resize them"
            )
        first, joined, second, third = self.encoder(x)
        quarter = torch.cat([self.level3_C(second), self.up_l3(self.br(third))], 1)
        half = self.conv(torch.cat([self.up_l2(self.combine_l2_l3(quarter)), joined if self.joined else first], 1))
        return self.classifier(half)


def _depth(names: Iterable[str], prefix: str) -> int:
    """How many blocks follow each other under this name."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)})
