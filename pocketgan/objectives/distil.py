"""Distillation: a student learns from images, from a discriminator and from its teacher's features.

L_G = gan * fool + recon * |S(x) - target| + distil * sum over taps of MSE(adaptor(S_tap), T_tap)

The target is the real partner where there is one and the teacher's output where there is none (pseudo pairs).
Pre-distillation, supernet training and fine-tuning are all this game: for a supernet each step draws the widths
of a subnet. D's and G's gradients are both taken with the D from before the step, as in the official code
(unlike pix2pix), which lets one forward of D serve both.

Source: GAN Compression, CVPR 2020, sections 3.1 and 3.3.
"""

from __future__ import annotations

import random

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.adversarial import GanMode, fake_loss, fool_loss, real_loss
from pocketgan.losses.distillation import Adaptors
from pocketgan.losses.pixel import Pixel, pixel_loss
from pocketgan.objectives.base import Beta, Losses, Objective, detached


class DistilSettings(BaseModel):
    """Weights of the terms, and Adam's numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gan_mode: GanMode = "hinge"
    gan: NonNegativeFloat = 1.0
    recon: NonNegativeFloat = 100.0
    recon_loss: Pixel = "l1"
    distil: NonNegativeFloat = 1.0
    paired: bool = True
    lr: PositiveFloat = 2e-4
    betas: tuple[Beta, Beta] = (0.5, 0.999)


class Taps:
    """Collects the activations at some taps of one forward."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.values: dict[str, Tensor] = {}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        if name in self.names:
            self.values[name] = x
        return x


class Distiller(Objective):
    """`student`: a plain network, or a supernet together with the `space` that its widths are drawn from.

    The discriminator sees condition and image where data are paired, the image alone where they are not.
    """

    def __init__(
        self,
        settings: DistilSettings,
        teacher: nn.Module,
        student: nn.Module,
        adaptors: Adaptors,
        discriminator: nn.Module,
        space: SearchSpace | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.space = settings, space
        self.add_frozen("teacher", teacher)
        self.add_player("discriminator", discriminator, settings.lr, settings.betas)
        self._student = _Student(student, adaptors)
        self.add_player("student", self._student, settings.lr, settings.betas)

    @property
    def generator(self) -> nn.Module:
        return self._student.network

    @property
    def adaptors(self) -> Adaptors:
        return self._student.adaptors

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s, judge = self.settings, self.networks["discriminator"]
        seen = (lambda image: torch.cat([batch.x, image], 1)) if s.paired else (lambda image: image)

        taps = Taps(tuple(self.adaptors.taps))
        with torch.no_grad():
            teacher_image = self.frozen["teacher"](batch.x, taps)
        widths = self.space.widths(self.space.sample(rng)) if self.space else None
        fake, features = self.networks["student"](batch.x, taps.values, widths)

        # one forward of D on the fake serves D's loss and G's
        judged = judge(seen(fake))
        d_fake = fake_loss(judged, s.gan_mode)
        d_real = real_loss(judge(seen(batch.y)), s.gan_mode)
        fool = s.gan * fool_loss(judged, s.gan_mode)
        recon = s.recon * pixel_loss(fake, batch.y if s.paired else teacher_image, s.recon_loss)
        distil = s.distil * torch.stack(list(features.values())).sum()

        self.backward((d_fake + d_real) / 2, "discriminator", keep_graph=True)
        self.backward(fool + recon + distil, "student")
        self.update("discriminator", "student")
        return detached(D_fake=d_fake, D_real=d_real, G_gan=fool, G_recon=recon, G_distil=distil)


class _Student(nn.Module):
    """Student and adaptors in one module: one optimizer, and one wrapper when training is distributed."""

    def __init__(self, network: nn.Module, adaptors: Adaptors) -> None:
        super().__init__()
        self.network, self.adaptors = network, adaptors

    def forward(self, x: Tensor, teacher_features: dict[str, Tensor], widths) -> tuple[Tensor, dict[str, Tensor]]:
        taps = Taps(tuple(self.adaptors.taps))
        if isinstance(self.network, Supernet):
            image = self.network(x, widths, taps)
        else:
            image = self.network(x, taps)
        return image, self.adaptors(taps.values, teacher_features)
