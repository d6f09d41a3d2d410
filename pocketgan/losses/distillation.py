"""Comparing a student's features with its teacher's through learned 1x1 convolutions.

Source: GAN Compression, CVPR 2020, section 3.1: sum over taps of MSE(adaptor(student), teacher).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Adaptors(nn.Module):
    """One 1x1 convolution with bias per tap, from the student's channels to the teacher's.

    A narrower student (a subnet) uses the leading input channels of the same weight.
    """

    def __init__(self, channels: Mapping[str, tuple[int, int]]) -> None:
        """`channels`: for each tap, (student channels at the widest, teacher channels)."""
        super().__init__()
        self.taps = nn.ModuleDict({tap: nn.Conv2d(s, t, 1) for tap, (s, t) in channels.items()})

    def forward(
        self,
        student: Mapping[str, Float[Tensor, "batch _ _ _"]],
        teacher: Mapping[str, Float[Tensor, "batch _ _ _"]],
    ) -> dict[str, Float[Tensor, ""]]:
        """The mean squared error at each tap."""
        return {tap: F.mse_loss(self.adapt(tap, x), teacher[tap]) for tap, x in student.items()}

    def adapt(self, tap: str, x: Float[Tensor, "batch _ height width"]) -> Tensor:
        """The student's activation in the teacher's channels."""
        conv = self.taps[tap]
        assert isinstance(conv, nn.Conv2d)
        return F.conv2d(x, conv.weight[:, : x.shape[1]], conv.bias)


class ChannelConnectors(nn.Module):
    """Channel distillation: compares how strongly each channel answers, wherever in the image it does.

    A connector (1x1 convolution without bias, batch normalisation, ReLU) takes each of the student's taps to the
    teacher's channels; it learns with the student. A narrower student (a subnet) uses the leading input channels of
    the same weight.

    Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021, section 3.3.
    """

    def __init__(self, channels: Mapping[str, tuple[int, int]]) -> None:
        """`channels`: for each tap, (student channels at the widest, teacher channels)."""
        super().__init__()
        self.taps = nn.ModuleDict(
            {
                tap: nn.Sequential(nn.Conv2d(s, t, 1, bias=False), nn.BatchNorm2d(t), nn.ReLU())
                for tap, (s, t) in channels.items()
            }
        )

    def initialise(self, generator: torch.Generator) -> ChannelConnectors:
        """Convolutions from N(0, 2 / out channels), batch norms as they are; in place.

        Source: the official code's connectors, after Heo et al., "A Comprehensive Overhaul of Feature
        Distillation", ICCV 2019.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        return self

    def forward(
        self,
        student: Mapping[str, Float[Tensor, "batch _ _ _"]],
        teacher: Mapping[str, Float[Tensor, "batch _ _ _"]],
    ) -> dict[str, Float[Tensor, ""]]:
        """At each tap, the mean squared difference of the channels' means over height and width."""
        return {
            tap: F.mse_loss(_channel_means(self.connect(tap, x)), _channel_means(teacher[tap]))
            for tap, x in student.items()
        }

    def connect(self, tap: str, x: Float[Tensor, "batch _ height width"]) -> Tensor:
        """The student's activation in the teacher's channels."""
        connector = self.taps[tap]
        assert isinstance(connector, nn.Sequential)
        conv, norm, rectify = connector
        assert isinstance(conv, nn.Conv2d)
        return rectify(norm(F.conv2d(x, conv.weight[:, : x.shape[1]])))


def _channel_means(x: Float[Tensor, "batch channels _ _"]) -> Float[Tensor, "batch channels"]:
    """Over height and width; in float32 also of bfloat16, which has too few digits for their differences."""
    return x.mean(dim=(2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
