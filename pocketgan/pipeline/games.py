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
from pocketgan.errors import SpecError
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import DiscriminatorSpec, Generator, GeneratorSpec, SharedPatchSpec, init_normal, initialise
from pocketgan.networks.munit import MunitGenerator
from pocketgan.objectives.base import Objective
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.cycle import CycleGan, CycleGanSettings
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.fixed_norms import FixedNormsSettings
from pocketgan.objectives.imitation import ImitationSettings
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycleSettings
from pocketgan.objectives.munit import Munit, MunitSettings
from pocketgan.objectives.munit_distil import MunitDistiller, MunitDistilSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.objectives.spade import Spade, SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistiller, SpadeDistilSettings
from pocketgan.pretrained.perceptual import Perceptual, PerceptualName, perceptual_network
from pocketgan.units import Size, size_text

#: the settings of every game that trains a teacher
Teaching = Annotated[
    Pix2PixSettings | CycleGanSettings | SpadeSettings | MunitSettings, Field(discriminator="kind")
]
#: the settings of every game that trains a student
Distilling = Annotated[DistilSettings | SpadeDistilSettings | MunitDistilSettings, Field(discriminator="kind")]
#: the settings of every game in which a student imitates teachers that learn meanwhile
Imitating = Annotated[OnlineSettings | BurstSettings, Field(discriminator="kind")]

#: the settings of every game in which a supernet learns without a teacher
InPlaceGames = Annotated[InPlaceSettings | InPlaceCycleSettings, Field(discriminator="kind")]

#: a random stream for each use
Streams = Callable[[str], torch.Generator]


class FeatureNetwork(BaseModel):
    """The frozen network whose features a perceptual term compares.

    `content` is the SHA-256 of weights that a user brought along in `file`; else they are looked for by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PerceptualName = "mobilenet_v2"
    content: str | None = None
    # only opening it needs it: a recipe that is read back from its run folder does without
    file: Path | None = Field(default=None, exclude=True)

    @classmethod
    def of(cls, name: PerceptualName, file: Path | None = None) -> FeatureNetwork:
        """Its identity is the content of the file, not its place."""
        content = hashlib.sha256(file.read_bytes()).hexdigest() if file else None
        return cls(name=name, content=content, file=file)

    def open(self, stages: int = 5) -> Perceptual:
        """With its first stages. Raises `DataError` where its weights cannot be found."""
        return perceptual_network(self.name, self.file, stages=stages)


def needs_features(settings: Teaching | Distilling | Imitating | InPlaceGames | FixedNormsSettings) -> bool:
    """Whether the game has a perceptual term."""
    if isinstance(settings, ImitationSettings):
        return settings.style > 0 or settings.feature > 0
    return isinstance(settings, (SpadeSettings, SpadeDistilSettings)) and settings.perceptual > 0


def check_sides(size: Size, generator: GeneratorSpec, discriminator: DiscriminatorSpec | SharedPatchSpec) -> None:
    """Raise `SpecError` unless both networks can take images of this size."""
    generator.check_size(*size)
    if min(size) < discriminator.smallest_side:
        raise SpecError(
            f"size {size_text(size)} is too small for a {discriminator.kind} discriminator, which judges images "
            f"from {discriminator.smallest_side} pixels on; use --size {discriminator.smallest_side} or more"
        )


def teaching_game(
    settings: Teaching,
    generator: GeneratorSpec,
    discriminator: DiscriminatorSpec,
    random: Streams,
    features: Perceptual | None,
) -> Objective:
    """Fresh networks of these specs, twice where the game has two directions."""

    def new_generator(name: str) -> Generator:
        return initialise(generator.build(), random(name))

    def new_discriminator(name: str) -> nn.Module:
        return initialise(discriminator.build(), random(name))

    first = new_generator("generator"), new_discriminator("discriminator")
    if isinstance(settings, Pix2PixSettings):
        return Pix2Pix(settings, *first)
    if isinstance(settings, SpadeSettings):
        return Spade(settings, *first, features)
    second = new_generator("backward generator"), new_discriminator("backward discriminator")
    if isinstance(settings, CycleGanSettings):
        return CycleGan(settings, first[0], second[0], first[1], second[1])
    assert isinstance(first[0], MunitGenerator), "checked by the recipe"
    assert isinstance(second[0], MunitGenerator), "of the same spec"
    return Munit(settings, first[0], second[0], first[1], second[1])


def distilling_game(
    settings: Distilling,
    teacher: Generator,
    student: Generator | Supernet,
    discriminator: nn.Module,
    space: SearchSpace | None,
    random: Streams,
    features: Perceptual | None,
) -> Objective:
    """A student, already initialised, and fresh adaptors from its taps to the teacher's."""
    spec = student.spec
    adaptors = init_normal(
        Adaptors({tap: (spec.tap_channels(tap), teacher.spec.tap_channels(tap)) for tap in spec.taps}),
        random("adaptors"),
    )
    if isinstance(settings, DistilSettings):
        return Distiller(settings, teacher, student, adaptors, discriminator, space)
    if isinstance(settings, SpadeDistilSettings):
        return SpadeDistiller(settings, teacher, student, adaptors, discriminator, space, features)
    return MunitDistiller(settings, teacher, student, adaptors, discriminator, space)
