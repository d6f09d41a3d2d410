"""The student of a distillation: what it computes in one step, at which widths.

Source: GAN Compression, CVPR 2020, sections 3.1 and 3.3.
"""

from __future__ import annotations

import random

from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.elastic.sampling import AnySampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import Widths
from pocketgan.objectives.base import Objective


class Taps:
    """Collects the activations at some taps of one forward."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.values: dict[str, Tensor] = {}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        if name in self.names:
            self.values[name] = x
        return x


class Student(nn.Module):
    """Student and adaptors in one module: one optimizer, and one wrapper when training is distributed."""

    def __init__(self, network: nn.Module, adaptors: Adaptors) -> None:
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
    def adaptors(self) -> Adaptors:
        return self._student.adaptors


class FeatureStudent(Student):
    """A student whose features are compared with its teacher's."""

    def forward(
        self,
        x: Float[Tensor, "batch in height width"],
        teacher_features: dict[str, Float[Tensor, "batch _ _ _"]],
        widths: Widths | None,
    ) -> tuple[Float[Tensor, "batch out rows columns"], dict[str, Float[Tensor, ""]]]:
        """The image, and how far the features are from the teacher's at each tap."""
        taps = Taps(tuple(self.adaptors.taps))
        image = translate(self.network, x, taps, widths)
        return image, self.adaptors(taps.values, teacher_features)


def translate(
    network: nn.Module,
    x: Float[Tensor, "batch in height width"],
    taps: Taps,
    widths: Widths | None,
    **inputs: Tensor,
) -> Float[Tensor, "batch out rows columns"]:
    """The image that a plain network, or a supernet at these widths, makes of `x`."""
    if isinstance(network, Supernet):
        return network(x, widths, taps, **inputs)
    return network(x, taps, **inputs)


def visited(space: SearchSpace | None, sampling: AnySampling, rng: random.Random) -> tuple[Widths | None, ...]:
    """The widths of the subnets that one step visits; a plain network, which has no space, is visited as it is."""
    if space is None:
        return (None,)
    return tuple(space.widths(genome) for genome in sampling.draw(space, rng))
