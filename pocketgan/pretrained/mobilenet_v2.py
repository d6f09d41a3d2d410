"""The bundled feature network: MobileNetV2 trained on ImageNet, up to its pooled features.

Small enough to travel with the package (4.5 MB) and to run on a CPU while a search waits for a score.
Weights and their licence: ``weights/README.md``.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from pocketgan.pretrained.weights import BUNDLED, load_frozen

WEIGHTS = BUNDLED / "mobilenet_v2.safetensors"

SIZE = 224
DIMENSIONS = 1280

# Table 2 of the paper: expansion of the hidden width, output channels, repeats, stride of the first repeat.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

#: the widest activations of strides 2, 4, 8 and 16: those that a block of stride 2 filters
_TAPS = {1: "stride2", 3: "stride4", 6: "stride8", 13: "stride16"}


class _Conv(nn.Conv2d):
    """A biased convolution (its batch normalisation is folded in) padded as TensorFlow's ``SAME``.

    At stride 2 ``SAME`` adds a pixel right and below, and where a side is odd another one left or above.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 * (stride == 1), groups=groups)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        if self.stride == (2, 2):
            height, width = x.shape[-2:]
            x = F.pad(x, (width % 2, 1, height % 2, 1))
        return super().forward(x)


class _InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel, project by a linear 1x1; add the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int):
        super().__init__()
        hidden = inputs * expansion
        self.expand = _Conv(inputs, hidden) if expansion > 1 else None
        self.depthwise = _Conv(hidden, hidden, kernel=3, stride=stride, groups=hidden)
        self.project = _Conv(hidden, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        return self.narrow(x, self.widen(x))

    def widen(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch hidden height width"]:
        """The hidden activations, still at the input's stride."""
        return x if self.expand is None else F.relu6(self.expand(x), inplace=True)

    def narrow(
        self, x: Float[Tensor, "batch inputs height width"], hidden: Float[Tensor, "batch hidden height width"]
    ) -> Float[Tensor, "batch outputs h_out w_out"]:
        """The block's output from its input and its hidden activations."""
        y = self.project(F.relu6(self.depthwise(hidden), inplace=True))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """MobileNetV2 1.0 without its classifier: images in, 1280 pooled features out.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, 32, kernel=3, stride=2)
        blocks, channels = [], 32
        for expansion, outputs, repeats, stride in _STAGES:
            for repeat in range(repeats):
                blocks.append(_InvertedResidual(channels, outputs, expansion, stride if repeat == 0 else 1))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = _Conv(channels, DIMENSIONS)

    @classmethod
    def load(cls, weights: Path = WEIGHTS) -> "MobileNetV2":
        """The network with the bundled ImageNet weights in float32, in eval mode, frozen."""
        network = load_frozen(cls(), weights)
        # A third faster on a CPU; torch's own annotations lack the argument.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1280"]:
        """Pooled features of images in [-1, 1], resized to 224 x 224 (bilinear, antialiased) where needed."""
        if x.shape[-2:] != (SIZE, SIZE):
            x = F.interpolate(x, (SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
        x = x.contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x), inplace=True)
        x = F.relu6(self.head(self.blocks(x)), inplace=True)
        return x.mean(dim=(2, 3))

    def taps(
        self, x: Float[Tensor, "batch 3 height width"], count: int = 5
    ) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Rectified activations of images in [-1, 1], which are not resized: the first of `stride2` to `stride32`.

        The shallowest first: 96, 144, 192, 576 and 1280 channels.
        """
        found = {}
        x = F.relu6(self.stem(x.contiguous(memory_format=torch.channels_last)), inplace=True)
        for index, block in enumerate(self.blocks):
            assert isinstance(block, _InvertedResidual)
            hidden = block.widen(x)
            if index in _TAPS:
                found[_TAPS[index]] = hidden
                if len(found) == count:
                    return found
            x = block.narrow(x, hidden)
        return {**found, "stride32": F.relu6(self.head(x), inplace=True)}
