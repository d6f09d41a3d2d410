"""The networks that perceptual losses look through, one behind the other's face."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.data.images import seen
from pocketgan.download import Progress
from pocketgan.pretrained.mobilenet_v2 import WEIGHTS, MobileNetV2
from pocketgan.pretrained.vgg import Vgg

PerceptualName = Literal["vgg19", "vgg16", "mobilenet_v2"]
NAMES: tuple[str, ...] = get_args(PerceptualName)

#: what a perceptual network gives, the shallowest first
STAGES = ("stage1", "stage2", "stage3", "stage4", "stage5")

#: where GauGAN's perceptual loss taps VGG19, and OMGD's (with the last stage added) VGG16
_VGG19 = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_VGG16 = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


class Perceptual(nn.Module):
    """A frozen network whose taps are named by stage: images in [-1, 1] in, `stage1` ... `stage5` out.

    Each stage has half the side of the one before it. A loss made of these never knows which network it is.

    A VGG computes in the precision of the training. MobileNetV2 computes in float32 always: its depthwise
    convolutions gain nothing from bfloat16 (on a CPU they get slower), and it is a small part of a step.
    """

    def __init__(self, network: Vgg | MobileNetV2, *, from_zero: bool, stages: int = 5) -> None:
        """from_zero: the network takes images in [0, 1]. stages: how many it gives, from the first one on."""
        super().__init__()
        self.network = network
        self.from_zero = from_zero
        self.stages = STAGES[:stages]

    def forward(self, x: Float[Tensor, "batch _ height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """The activations by stage, the shallowest first; of other images than colours, of what `seen` makes."""
        x = seen(x)
        x = (x + 1) / 2 if self.from_zero else x
        if isinstance(self.network, Vgg):
            found = self.network(x)
        else:
            with torch.autocast(x.device.type, enabled=False):
                found = self.network.taps(x.to(self.network.stem.weight.dtype), len(self.stages))
        return dict(zip(self.stages, found.values(), strict=True))


def perceptual_network(
    name: PerceptualName,
    weights: Path | None = None,
    *,
    stages: int = 5,
    progress: Progress | None = None,
) -> Perceptual:
    """A perceptual network with its trained weights, in eval mode, frozen.

    | name | stages | input | weights |
    |---|---|---|---|
    | vgg19 | relu1_1, 2_1, 3_1, 4_1, 5_1 (strides 1 to 16) | [-1, 1], as GauGAN has it | found by `find_weights` |
    | vgg16 | relu1_2, 2_2, 3_3, 4_3, 5_3 (strides 1 to 16) | [0, 1], as OMGD has it | found by `find_weights` |
    | mobilenet_v2 | strides 2 to 32 | [-1, 1] | bundled |

    `stages`: how many are wanted, from the first one on; nothing deeper is computed.

    Raises `DataError` where there are no trained weights: an untrained network is never taken instead.
    """
    if name == "mobilenet_v2":
        return Perceptual(MobileNetV2.load(weights or WEIGHTS), from_zero=False, stages=stages).eval()
    if name == "vgg19":
        network = Vgg.load(19, _VGG19[:stages], weights, progress=progress)
    else:
        network = Vgg.load(16, _VGG16[:stages], weights, progress=progress)
    return Perceptual(network, from_zero=name == "vgg16", stages=stages).eval()
