"""The student of a distillation: what it computes in one step, as which subnet and at which resolution.

Source: GAN Compression, CVPR 2020, sections 3.1 and 3.3; Cai et al., Once-for-All, ICLR 2020, section 3.2.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.sampling import AnySampling, ResolutionSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Subnet, Supernet
from pocketgan.losses.distillation import Adaptors, ChannelConnectors
from pocketgan.networks import NetworkSpec
from pocketgan.objectives.base import Objective
from pocketgan.units import Size


class Taps:
    """Collects the activations at some taps of one forward."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.values: dict[str, Tensor] = {}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        if name in self.names:
            self.values[name] = x
        return x


class _Enough(Exception):
    """Ends a forward that has given all that is wanted of it."""


@torch.no_grad()
def activations(
    network: Callable[..., Tensor], x: Float[Tensor, "batch in height width"], names: tuple[str, ...]
) -> dict[str, Float[Tensor, "batch _ _ _"]]:
    """What a network has at some taps; it runs to the last of them and no further."""
    taps = Taps(names)

    def until(name: str, value: Tensor) -> Tensor:
        taps(name, value)
        if len(taps.values) == len(names):
            raise _Enough
        return value

    with suppress(_Enough):
        network(x, until)
    return taps.values


class Student(nn.Module):
    """Student and adaptors (or connectors) in one module: one optimizer."""

    def __init__(self, network: nn.Module, adaptors: Adaptors | ChannelConnectors) -> None:
        super().__init__()
        self.network, self.adaptors = network, adaptors

    @property
    def product(self) -> nn.Module:
        """The plain network that training leaves: of a supernet, the one at its widest."""
        return self.network.network if isinstance(self.network, Supernet) else self.network


class StudentGame(Objective):
    """A game whose point is a student, `_student`, that plays against a discriminator."""

    _student: Student

    @property
    def generator(self) -> nn.Module:
        return self._student.network

    @property
    def products(self) -> dict[str, nn.Module]:
        return {"model": self._student.product, "discriminator": self.players["discriminator"]}

    @property
    def adaptors(self) -> Adaptors | ChannelConnectors:
        return self._student.adaptors


class FeatureStudent(Student):
    """A student whose features are compared with its teacher's."""

    def forward(
        self,
        x: Float[Tensor, "batch in height width"],
        teacher_features: dict[str, Float[Tensor, "batch _ _ _"]],
        at: Subnet | None,
    ) -> tuple[Float[Tensor, "batch out rows columns"], dict[str, Float[Tensor, ""]]]:
        """The image, and how far the features are from the teacher's at each tap that the subnet has."""
        taps = Taps(tuple(self.adaptors.taps))
        image = translate(self.network, x, taps, at)
        return image, self.adaptors(taps.values, teacher_features)


def translate(
    network: nn.Module,
    x: Float[Tensor, "batch in height width"],
    taps: Taps,
    at: Subnet | None,
    **inputs: Tensor,
) -> Float[Tensor, "batch out rows columns"]:
    """The image that a plain network, or a subnet of a supernet, makes of `x`."""
    if isinstance(network, Supernet):
        return network(x, at, taps, **inputs)
    return network(x, taps, **inputs)


def visited(space: SearchSpace | None, sampling: AnySampling, rng: random.Random) -> tuple[NetworkSpec | None, ...]:
    """The subnets that one step visits; a plain network, which has no space, is visited as it is."""
    if space is None:
        return (None,)
    return tuple(space.subspec(genome) for genome in sampling.draw(space, rng))


def at_resolution(batch: Batch, sampling: AnySampling, rng: random.Random, labels: bool = False) -> Batch:
    """The batch at the size that one step is to see: as it is, unless the sampling is one of resolutions.

    Images are averaged down; label maps (`x` where `labels`) keep whole labels. Draws before `visited` does.
    """
    if not isinstance(sampling, ResolutionSampling):
        return batch
    height, width = batch.x.shape[2:]
    size = sampling.size((height, width), rng)
    x = F.interpolate(batch.x, size, mode="nearest-exact") if labels else _smaller(batch.x, size)
    return batch._replace(x=x, y=_smaller(batch.y, size))


def _smaller(images: Float[Tensor, "batch _ _ _"], size: Size) -> Float[Tensor, "batch _ _ _"]:
    return F.interpolate(images, size, mode="bilinear", antialias=True)
