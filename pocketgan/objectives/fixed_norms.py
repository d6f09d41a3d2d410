"""A network whose norms have fixed statistics learns to make the pictures of the same network with instance norms.

L = |S(x) - T(x)| + truth * |S(x) - y| + features * mean over taps of MSE(S_tap, T_tap) / var(T_tap)

S and T have the same channels everywhere, so nothing stands between their taps. S learns in the form in which it is
shipped: its statistics stay what calibration made them, and the weights learn to live with them.
"""

from __future__ import annotations

import random
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.losses.pixel import pixel_loss
from pocketgan.networks import Generator
from pocketgan.objectives.base import Beta, Losses, Objective, detached, total
from pocketgan.objectives.student import Taps


class FixedNormsSettings(BaseModel):
    """Weights of the terms beside that of the teacher's pictures, and Adam's numbers.

    `truth`: of the real partner, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["fixed-norms"] = "fixed-norms"
    truth: NonNegativeFloat = 1.0
    features: NonNegativeFloat = 0.1
    lr: PositiveFloat = 1e-3
    betas: tuple[Beta, Beta] = (0.9, 0.999)


class FixedNorms(Objective):
    """`student`: a calibrated network like `teacher` but for its norms, whose spec says what taps are compared.
    `paired`: whether a batch's `y` belong to its `x`."""

    def __init__(self, settings: FixedNormsSettings, teacher: nn.Module, student: Generator, paired: bool) -> None:
        super().__init__()
        self.settings, self._paired, self._student = settings, paired, student
        self._taps = student.spec.taps if settings.features else ()
        self.add_frozen("teacher", teacher)
        self.add_player("student", student, settings.lr, settings.betas)

    @property
    def generator(self) -> nn.Module:
        return self._student

    @property
    def products(self) -> dict[str, nn.Module]:
        return {"model": self._student}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s, seen, wanted = self.settings, Taps(self._taps), Taps(self._taps)
        self._student.eval()  # the loop draws samples, and sets it to training after that
        with torch.no_grad():
            target = self.frozen["teacher"](batch.x, wanted)
        image = self.networks["student"](batch.x, seen)
        terms = {"G_image": pixel_loss(image, target, "l1")}
        if s.truth and self._paired:
            terms["G_truth"] = s.truth * pixel_loss(image, batch.y, "l1")
        if s.features:
            apart = {tap: F.mse_loss(seen.values[tap], own) / own.var() for tap, own in wanted.values.items()}
            terms["G_features"] = s.features * total(apart) / len(apart)
        self.backward(total(terms), "student", terms=terms)
        self.update("student")
        return detached(**terms)
