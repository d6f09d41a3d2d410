"""pix2pix: a generator and a patch discriminator that sees the condition too.

L_D = (fake + real) / 2, then, against the updated D: L_G = gan * fool + recon * |G(x) - y|.

Source: Isola et al., CVPR 2017; the order of updates is the official code's.
"""

from __future__ import annotations

import random
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.pixel import Pixel, pixel_loss
from pocketgan.objectives.base import Losses, Objective, ObjectiveSettings, detached


class Pix2PixSettings(ObjectiveSettings):
    """Weights of the terms, and Adam's numbers."""

    kind: Literal["pix2pix"] = "pix2pix"
    recon: NonNegativeFloat = 100.0
    recon_loss: Pixel = "l1"


class Pix2Pix(Objective):
    def __init__(self, settings: Pix2PixSettings, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.settings = settings
        self.add_player("generator", generator, settings.lr, settings.betas)
        self.add_player("discriminator", discriminator, settings.lr, settings.betas)

    @property
    def generator(self) -> nn.Module:
        return self.players["generator"]

    @property
    def products(self) -> dict[str, nn.Module]:
        return {"model": self.generator, "discriminator": self.players["discriminator"]}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s, judge = self.settings, self.networks["discriminator"]
        fake = self.networks["generator"](batch.x)

        d_fake = fake_loss(judge(torch.cat([batch.x, fake.detach()], 1)), s.gan_mode)
        d_real = real_loss(judge(torch.cat([batch.x, batch.y], 1)), s.gan_mode)
        self.backward((d_fake + d_real) / 2, "discriminator")
        self.update("discriminator")

        fool = s.gan * fool_loss(judge(torch.cat([batch.x, fake], 1)), s.gan_mode)
        recon = s.recon * pixel_loss(fake, batch.y, s.recon_loss)
        self.backward(fool + recon, "generator")
        self.update("generator")
        return detached(D_fake=d_fake, D_real=d_real, G_gan=fool, G_recon=recon)
