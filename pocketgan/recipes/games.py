"""The games that can be compressed: for each, its data, and its networks at the published weights of the terms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pocketgan.data.task import Task
from pocketgan.networks import (
    DiscriminatorSpec,
    GeneratorSpec,
    MsImageSpec,
    MultiscaleSpec,
    MunitSpec,
    PatchSpec,
    ResnetSpec,
    SpadeSpec,
)
from pocketgan.objectives.cycle import CycleGanSettings
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.munit import MunitSettings
from pocketgan.objectives.munit_distil import MunitDistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.objectives.spade import SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistilSettings
from pocketgan.pipeline.games import Distilling, Teaching
from pocketgan.training.schedule import Schedule

PAIRS, UNPAIRED, LABELS = "pairs of images", "two sets of images without pairs", "label maps with their images"


class Parts(NamedTuple):
    """The teacher, its discriminator, its game, and the game of its student."""

    teacher: GeneratorSpec
    discriminator: DiscriminatorSpec
    objective: Teaching
    distillation: Distilling

    @property
    def fields(self) -> dict[str, Any]:
        """As arguments of settings."""
        return self._asdict()


@dataclass(frozen=True, kw_only=True)
class Game:
    """What belongs together.

    Attributes:
        name: that of `--model`.
        data: what its images are, in words.
        teaching, distilling: the kinds of the teacher's game and of the student's.
        batch_size: images a step; without pairs one, as published.
        parts: (base width of the teacher, base width of the discriminator, mobile or dense, channels of the inputs
            and kind of upsampling of label maps) -> the networks and games.
    """

    name: str
    data: str
    teaching: str
    distilling: str
    batch_size: int
    parts: Callable[..., Parts]

    def schedule(self, images: int, task: Task) -> Schedule:
        """So many training images, and the learning rate falling for the last three fifths of them."""
        epochs = max(2, math.ceil(images / task.epoch()))
        constant = max(1, round(0.4 * epochs))
        return Schedule(constant=constant, decay=epochs - constant, batch_size=self.batch_size)


def _resnet(width: int, mobile: bool) -> ResnetSpec:
    return ResnetSpec.uniform(width, separable=("residual",) if mobile else ())


def _pix2pix(width: int, discriminator: int, mobile: bool = False, **_: Any) -> Parts:
    return Parts(_resnet(width, mobile), PatchSpec(width=discriminator), Pix2PixSettings(), DistilSettings())


def _cyclegan(width: int, discriminator: int, mobile: bool = False, **_: Any) -> Parts:
    return Parts(
        _resnet(width, mobile),
        PatchSpec(in_channels=3, width=discriminator),
        CycleGanSettings(),
        DistilSettings(paired=False, gan_mode="lsgan", recon=10, distil=0.01),
    )


def _gaugan(
    width: int, discriminator: int, mobile: bool = False, in_channels: int = 3, upsampling: Any = "normal"
) -> Parts:
    separable: Any = ("modulation",) if mobile else ()
    form: dict[str, Any] = dict(in_channels=in_channels, upsampling=upsampling, separable=separable)
    return Parts(
        SpadeSpec.uniform(width, **form, spectral=True),
        MultiscaleSpec(in_channels=in_channels + 3, width=discriminator),
        SpadeSettings(),
        SpadeDistilSettings(),
    )


def _munit(width: int, discriminator: int, mobile: bool = False, **_: Any) -> Parts:
    return Parts(
        MunitSpec.uniform(width, separable=("residual", "up") if mobile else ()),
        MsImageSpec(width=discriminator),
        MunitSettings(),
        MunitDistilSettings(),
    )


#: Source: GAN Compression (CVPR 2020; TPAMI 2022), the published settings
GAMES: dict[str, Game] = {
    game.name: game
    for game in (
        Game(
            name="pix2pix",
            data=PAIRS,
            teaching="pix2pix",
            distilling="distil",
            batch_size=4,
            parts=_pix2pix,
        ),
        Game(
            name="cyclegan",
            data=UNPAIRED,
            teaching="cyclegan",
            distilling="distil",
            batch_size=1,
            parts=_cyclegan,
        ),
        Game(
            name="gaugan",
            data=LABELS,
            teaching="spade",
            distilling="spade-distil",
            batch_size=4,
            parts=_gaugan,
        ),
        Game(
            name="munit",
            data=UNPAIRED,
            teaching="munit",
            distilling="munit-distil",
            batch_size=1,
            parts=_munit,
        ),
    )
}


def data_of(task: Task) -> str:
    """What a task's images are, in words."""
    return LABELS if task.labels else PAIRS if task.paired else UNPAIRED


def game_for(task: Task) -> Game:
    """The game that suits the data; of those without pairs CycleGAN."""
    return next(game for game in GAMES.values() if game.data == data_of(task))


def game_of(teaching: Teaching) -> Game:
    """The game that these settings of a teacher belong to."""
    return next(game for game in GAMES.values() if game.teaching == teaching.kind)
