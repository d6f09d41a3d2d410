"""Distillation: a student learns from images, from a discriminator and from its teacher's features.

L_G = gan * fool + recon * |S(x) - target| + distil * sum over taps of MSE(adaptor(S_tap), T_tap)

The target is the real partner where there is one and the teacher's output where there is none (pseudo pairs).
Pre-distillation, supernet training and fine-tuning are all this game: for a supernet each step visits one subnet or
several, and both losses are means over them. D's and G's gradients are both taken with the D from before the step,
as in the official code (unlike pix2pix), which lets one forward of D serve both.

Source: GAN Compression, CVPR 2020, sections 3.1 and 3.3.
"""

from __future__ import annotations

import random
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.sampling import AnySampling, UniformSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.distillation import Adaptors
from pocketgan.losses.pixel import Pixel, pixel_loss
from pocketgan.objectives.base import Losses, ObjectiveSettings, detached, mean_losses, total
from pocketgan.objectives.student import FeatureStudent, StudentGame, Taps, activations, at_resolution, visited


class DistilSettings(ObjectiveSettings):
    """Weights of the terms, Adam's numbers, and which subnets of a supernet a step visits."""

    kind: Literal["distil"] = "distil"
    recon: NonNegativeFloat = 100.0
    recon_loss: Pixel = "l1"
    distil: NonNegativeFloat = 1.0
    paired: bool = True
    sampling: AnySampling = UniformSampling()


class Distiller(StudentGame):
    """`student`: a plain network, or a supernet together with the `space` that its subnets are drawn from.

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
        self._student = FeatureStudent(student, adaptors)
        self.add_player("student", self._student, settings.lr, settings.betas)

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s, discriminator = self.settings, self.networks["discriminator"]
        batch = at_resolution(batch, s.sampling, rng)
        seen = (lambda image: torch.cat([batch.x, image], 1)) if s.paired else (lambda image: image)

        target, features = self._targets(batch)
        subnets = visited(self.space, s.sampling, rng)
        rounds = []
        for subnet in subnets:
            fake, errors = self.networks["student"](batch.x, features, subnet)
            # one forward of D on the fake serves D's loss and G's
            scored = discriminator(seen(fake))
            d_fake = fake_loss(scored, s.gan_mode)
            fool = s.gan * fool_loss(scored, s.gan_mode)
            recon = s.recon * pixel_loss(fake, target, s.recon_loss)
            distil = s.distil * total(errors)
            # one after the other, so that several subnets need no more memory than one
            self.backward(d_fake / 2 / len(subnets), "discriminator", keep_graph=True)
            terms = {"G_gan": fool, "G_recon": recon, "G_distil": distil}
            self.backward((fool + recon + distil) / len(subnets), "student", terms=terms)
            rounds.append(detached(D_fake=d_fake, **terms))
        d_real = real_loss(discriminator(seen(batch.y)), s.gan_mode)
        self.backward(d_real / 2, "discriminator")
        self.update("discriminator", "student")
        return {**detached(D_real=d_real), **mean_losses(rounds)}

    def _targets(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What the student's image is to be like, and what its features are: once for all subnets of a step."""
        teacher, taps = self.frozen["teacher"], Taps(tuple(self.adaptors.taps))
        if self.settings.paired:
            return batch.y, activations(teacher, batch.x, taps.names)
        with torch.no_grad():
            return teacher(batch.x, taps), taps.values
