"""Which game a training stage plays: from settings and networks to an objective before its first step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import DiscriminatorSpec, Generator, GeneratorSpec, init_normal, initialise
from pocketgan.networks.munit import MunitGenerator
from pocketgan.objectives.base import Objective
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.cycle import CycleGan, CycleGanSettings
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.imitation import ImitationSettings
from pocketgan.objectives.munit import Munit, MunitSettings
from pocketgan.objectives.munit_distil import MunitDistiller, MunitDistilSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.objectives.spade import Spade, SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistiller, SpadeDistilSettings
from pocketgan.pretrained.perceptual import Perceptual, PerceptualName, perceptual_network

#: the settings of every game that trains a teacher
Teaching = Annotated[
    Pix2PixSettings | CycleGanSettings | SpadeSettings | MunitSettings, Field(discriminator="kind")
]
#: the settings of every game that trains a student
Distilling = Annotated[DistilSettings | SpadeDistilSettings | MunitDistilSettings, Field(discriminator="kind")]
#: the settings of every game in which a student imitates teachers that learn meanwhile
Imitating = Annotated[OnlineSettings | BurstSettings, Field(discriminator="kind")]

#: a random stream for each use
Streams = Callable[[str], torch.Generator]


class Sight(BaseModel):
    """The network that a perceptual loss looks through.

    `content` is the SHA-256 of weights that a user brought along in `file`; without them they are found by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: PerceptualName = "mobilenet_v2"
    content: str | None = None
    # only opening it needs it: a recipe that is read back from its run folder does without
    file: Path | None = Field(default=None, exclude=True)

    @classmethod
    def of(cls, network: PerceptualName, file: Path | None = None) -> Sight:
        """Its identity is the content of the file, not its place."""
        content = hashlib.sha256(file.read_bytes()).hexdigest() if file else None
        return cls(network=network, content=content, file=file)

    def open(self, stages: int = 5) -> Perceptual:
        """With its first stages. Raises `DataError` where its weights cannot be found."""
        return perceptual_network(self.network, self.file, stages=stages)


def needs_sight(settings: Teaching | Distilling | Imitating) -> bool:
    """Whether the game has a perceptual term."""
    if isinstance(settings, ImitationSettings):
        return settings.style > 0 or settings.feature > 0
    return isinstance(settings, (SpadeSettings, SpadeDistilSettings)) and settings.perceptual > 0


def teaching_game(
    settings: Teaching,
    generator: GeneratorSpec,
    discriminator: DiscriminatorSpec,
    random: Streams,
    sight: Perceptual | None,
) -> Objective:
    """Fresh networks of these specs, twice where the game has two directions."""

    def player(name: str) -> Generator:
        return initialise(generator.build(), random(name))

    def judge(name: str) -> nn.Module:
        return initialise(discriminator.build(), random(name))

    first, first_judge = player("generator"), judge("discriminator")
    if isinstance(settings, Pix2PixSettings):
        return Pix2Pix(settings, first, first_judge)
    if isinstance(settings, SpadeSettings):
        return Spade(settings, first, first_judge, sight)
    second, second_judge = player("backward generator"), judge("backward discriminator")
    if isinstance(settings, CycleGanSettings):
        return CycleGan(settings, first, second, first_judge, second_judge)
    assert isinstance(first, MunitGenerator), "checked by the recipe"
    assert isinstance(second, MunitGenerator), "of the same spec"
    return Munit(settings, first, second, first_judge, second_judge)


def distilling_game(
    settings: Distilling,
    teacher: Generator,
    student: Generator | Supernet,
    judge: nn.Module,
    space: SearchSpace | None,
    random: Streams,
    sight: Perceptual | None,
) -> Objective:
    """A student, already initialised, and fresh adaptors from its taps to the teacher's."""
    spec = student.spec
    adaptors = init_normal(
        Adaptors({tap: (spec.tap_channels(tap), teacher.spec.tap_channels(tap)) for tap in spec.taps}),
        random("adaptors"),
    )
    if isinstance(settings, DistilSettings):
        return Distiller(settings, teacher, student, adaptors, judge, space)
    if isinstance(settings, SpadeDistilSettings):
        return SpadeDistiller(settings, teacher, student, adaptors, judge, space, sight)
    return MunitDistiller(settings, teacher, student, adaptors, judge, space)
