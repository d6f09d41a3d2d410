"""OMGD with pairs: teachers learn by pix2pix, and a student imitates them while they do.

The student sees neither a discriminator nor a real image, and the discriminator never sees the student. Teachers
and discriminator learn at every `n_dis`-th step alone, and unlike in pix2pix against each other as they were before
the step. The student imitates the images from before the step too. So all gradients come first, then all updates.

With a supernet for a student this is Pocket: one online run trains every subnet.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021; the cadence and the
order of updates are the official code's.
"""

from __future__ import annotations

import random
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import SpecError
from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.networks.spec import ignore
from pocketgan.objectives.base import Losses, detached, total
from pocketgan.objectives.imitation import ImitationGame, ImitationSettings
from pocketgan.objectives.pix2pix import Fakes, Pix2Pix, Pix2PixSettings
from pocketgan.objectives.student import Taps, at_resolution

#: the folder that keeps each teacher
_FOLDERS = {"wide": "teacher", "deep": "deep_teacher"}


class OnlineSettings(ImitationSettings):
    """The teachers' game, how often it is played (0: never, the teachers are finished), and the student's settings.

    `n_dis` is that of Cityscapes; elsewhere 1. `truth`: the student imitates the real image too, where there is one
    (Pocket; OMGD's students never see it).
    """

    kind: Literal["online"] = "online"
    teaching: Pix2PixSettings = Pix2PixSettings()
    n_dis: NonNegativeInt = 3
    truth: bool = False


class OnlineDistiller(ImitationGame):
    """A student, and a wide teacher, a deep one, or both.

    `student`, `connectors`, `perceptual`, `space`: see `ImitationGame.add_student`; the connectors lead to the wide
    teacher. A discriminator with heads has the wide teacher's first; where the teachers never learn, there is none.
    """

    def __init__(
        self,
        settings: OnlineSettings,
        student: nn.Module,
        discriminator: nn.Module | None,
        *,
        wide: nn.Module | None = None,
        deep: nn.Module | None = None,
        connectors: ChannelConnectors | None = None,
        perceptual: nn.Module | None = None,
        space: SearchSpace | None = None,
    ) -> None:
        super().__init__()
        teachers = {name: network for name, network in (("wide", wide), ("deep", deep)) if network is not None}
        if not teachers:
            raise SpecError(
                "an online student learns from its teachers alone, and there is none; hand in a wide or a deep one"
            )
        if settings.channel and wide is None:
            raise SpecError(
                f"channel distillation has the weight {settings.channel:g} and no wide teacher; hand one in, "
                "or set channel to 0"
            )
        if (discriminator is None) != (settings.n_dis == 0):
            raise SpecError("teachers that learn, and no others, need a discriminator; set n_dis to 0 without one")
        self.settings, self.names, self._teachers = settings, tuple(teachers), teachers
        self.teaching = None
        if discriminator is not None:
            self.teaching = Pix2Pix(settings.teaching, teachers, discriminator)
            self.include(self.teaching)
        else:
            for name, network in teachers.items():
                self.add_frozen(name, network)
        self.add_student(settings, student, connectors, perceptual, space)
        self._steps = 0

    @property
    def products(self) -> dict[str, nn.Module]:
        folders = {_FOLDERS[name]: network for name, network in self._teachers.items()}
        discriminator = {"discriminator": self.players["discriminator"]} if self.teaching else {}
        return {"model": self.left, **folders, **discriminator}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        self._steps += 1
        turn = self.turn(self._steps)
        batch = at_resolution(batch, self.settings.sampling, rng)

        # what the teachers make of the batch, once for themselves and for every student
        taps = Taps(self.tapped)
        with torch.set_grad_enabled(turn):
            images = {
                name: (self.networks | self.frozen)[name](batch.x, taps if name == "wide" else ignore)
                for name in self.names
            }
        losses = self._teach(batch, images) if turn else {}

        # the student, against what they were
        features = {tap: x.detach() for tap, x in taps.values.items()}
        targets = {name: target.detach() for name, target in images.items()}
        if self.settings.truth and len(batch.y):
            targets["truth"] = batch.y
        terms = self.imitate(batch.x, targets, features, rng)
        if turn and self.teaching:
            self.update("discriminator", *self.names)
        self.update_student()
        return {**losses, **terms}

    def turn(self, step: int) -> bool:
        """Whether the teachers learn at a step (from 1). At all others `batch.y` may be empty."""
        return self.settings.n_dis > 0 and step % self.settings.n_dis == 0

    def labelled(self, step: int) -> bool:
        """Whether a step (from 1) is for a batch with real images: at the teachers' turns; where there are none, at
        every second step of a student that is to see the truth."""
        truth = self.settings.truth and self.settings.n_dis == 0
        return self.turn(step) or (truth and step % 2 == 0)

    def _teach(self, batch: Batch, images: Fakes) -> Losses:
        """The gradients of the teachers and of the discriminator."""
        assert self.teaching is not None, "only teachers that learn have a turn"
        scored = self.teaching.discriminator_terms(batch, images)
        self.backward(total(scored) / 2, "discriminator", terms=scored)
        terms = self.teaching.image_terms(batch, images)
        self.backward(total(terms), *self.names, terms=terms)
        return detached(**scored, **terms)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._steps = state["steps"]
