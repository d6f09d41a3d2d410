"""OMGD without pairs: teachers learn by CycleGAN; every few epochs the student imitates the best of them so far.

Rounds of two turns. First the teachers play `every` epochs of CycleGAN; then the generator of the wanted direction
is scored, and kept where it is better than all before it. Then the student learns for `n_dis` times as many epochs
from the kept one, on inputs alone, with the learning rate of the last epoch of the teachers'. The teachers go on
from where they were, not from the kept one.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021, the official code's
'best' distiller; it judges on the test set, and can train one of the two directions.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Literal, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.space import SearchSpace
from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.objectives.base import Losses
from pocketgan.objectives.cycle import CycleGan, CycleGanSettings
from pocketgan.objectives.imitation import ImitationGame, ImitationSettings
from pocketgan.objectives.student import Taps, at_resolution

#: from a generator in evaluation mode to how good it is: lower is better
TeacherScore = Callable[[nn.Module], float]


class BurstSettings(ImitationSettings):
    """The teachers' game; how many epochs they play between two turns of the student, and how many times as long
    each of its turns is; and the student's settings.

    `channel` is that of summer2winter; of horse2zebra 500. `every`: the published runs have 6 to 12.
    """

    kind: Literal["bursts"] = "bursts"
    teaching: CycleGanSettings = CycleGanSettings()
    n_dis: PositiveInt = 4
    every: PositiveInt = 10
    channel: NonNegativeFloat = 100.0


class Turn(NamedTuple):
    """What one epoch is for, whether it begins a turn, and the last of the teachers' epochs until then."""

    teaches: bool
    first: bool
    teacher_epoch: int


def turns(epochs: int, settings: BurstSettings) -> tuple[Turn, ...]:
    """For each epoch of a training in which the teachers have so many, whose it is."""
    found: list[Turn] = []
    for start in range(0, epochs, settings.every):
        own = range(start, min(start + settings.every, epochs))
        found += [Turn(True, epoch == start, epoch) for epoch in own]
        found += [Turn(False, i == 0, own[-1]) for i in range(settings.n_dis * len(own))]
    return tuple(found)


class BurstDistiller(ImitationGame):
    """`generator`, from A to B, is the teacher; `backward_generator` and the discriminators make it a CycleGAN.

    `student`, `connectors`, `perceptual`, `space`: see `ImitationGame.add_student`. `epochs`: the teachers' own,
    each of `epoch_steps`. `teacher_score`: what chooses among the teachers; it must see no image
    that figures come from.
    """

    def __init__(
        self,
        settings: BurstSettings,
        student: nn.Module,
        generator: nn.Module,
        backward_generator: nn.Module,
        discriminator: nn.Module,
        backward_discriminator: nn.Module,
        *,
        epochs: int,
        epoch_steps: int,
        teacher_score: TeacherScore,
        connectors: ChannelConnectors | None = None,
        perceptual: nn.Module | None = None,
        space: SearchSpace | None = None,
    ) -> None:
        super().__init__()
        self.settings, self._teacher_score = settings, teacher_score
        self._turns, self._epoch_steps = turns(epochs, settings), epoch_steps
        self.teaching = CycleGan(
            settings.teaching, generator, backward_generator, discriminator, backward_discriminator
        )
        self.include(self.teaching)
        self._best = deepcopy(generator)
        self._best_score: float | None = None
        self.add_frozen("best", self._best)
        self.add_student(settings, student, connectors, perceptual, space)
        self._steps = 0

    @property
    def products(self) -> dict[str, nn.Module]:
        others = {name: network for name, network in self.teaching.products.items() if name != "model"}
        return {"model": self.left, "teacher": self._best, **others}

    def turn(self, step: int) -> bool:
        """Whether the teachers learn at a step (from 1): then `batch.y` is looked at, at all others it is not."""
        return self._turns[(step - 1) // self._epoch_steps].teaches

    def labelled(self, step: int) -> bool:
        """Whether a step (from 1) is for a batch with real images."""
        return self.turn(step)

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        epoch, within = divmod(self._steps, self._epoch_steps)
        self._steps += 1
        turn = self._turns[epoch]
        if turn.teaches:
            return self.teaching.step(batch, rng)
        if turn.first and within == 0:
            self._keep_the_better()
        batch = at_resolution(batch, self.settings.sampling, rng)
        taps = Taps(self.tapped)
        with torch.no_grad():
            target = self.frozen["best"](batch.x, taps)
        terms = self.imitate(batch.x, {"best": target}, taps.values, rng)
        self.update_student()
        return terms

    def _keep_the_better(self) -> None:
        teacher = self.players["generator"]
        teacher.eval()
        score = self._teacher_score(teacher)
        teacher.train()
        if math.isnan(score):
            score = math.inf
        # the first one in any case: until then `_best` has learned nothing
        if self._best_score is None or score < self._best_score:
            self._best_score = score
            self._best.load_state_dict(teacher.state_dict())

    def state_dict(self) -> dict[str, Any]:
        # the pools of past images are the teachers' own; all else is in both games
        kept = {"best": self._best.state_dict(), "best_score": self._best_score, "steps": self._steps}
        return {**self.teaching.state_dict(), **super().state_dict(), **kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.teaching.load_state_dict(state)
        self._best.load_state_dict(state["best"])
        self._best_score, self._steps = state["best_score"], state["steps"]
