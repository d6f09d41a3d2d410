"""pix2pix: a generator, or several, and a patch discriminator that sees the condition too.

L_D = (fake + real) / 2, then, against the updated D: L_G = gan * fool + recon * |G(x) - y|; with several generators
each loss is the sum over them.

Source: Isola et al., CVPR 2017; the order of updates is the official code's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.errors import SpecError
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.pixel import Pixel, pixel_loss
from pocketgan.networks.discriminators import SharedPatchDiscriminator
from pocketgan.objectives.base import Losses, Objective, ObjectiveSettings, detached, total

#: what each generator made of one batch, by its name
Fakes = Mapping[str, Float[Tensor, "batch channels height width"]]


class Pix2PixSettings(ObjectiveSettings):
    """Weights of the terms, and Adam's numbers."""

    kind: Literal["pix2pix"] = "pix2pix"
    recon: NonNegativeFloat = 100.0
    recon_loss: Pixel = "l1"


class Pix2Pix(Objective):
    """One generator, or several by name: their terms are then told apart by that name.

    Several generators play against one discriminator, each against the head in its place where that has heads.
    """

    def __init__(
        self,
        settings: Pix2PixSettings,
        generators: nn.Module | Mapping[str, nn.Module],
        discriminator: nn.Module,
    ) -> None:
        super().__init__()
        self.settings = settings
        if isinstance(generators, nn.Module):
            generators = {"generator": generators}
        self.names = tuple(generators)
        self._heads: dict[str, tuple[int, ...]] = dict.fromkeys(generators, ())
        if isinstance(discriminator, SharedPatchDiscriminator):
            heads = discriminator.spec.heads
            if heads != len(generators):
                raise SpecError(
                    f"a shared discriminator has a head for each generator, and there are {heads} heads for "
                    f"{len(generators)}; set heads to {len(generators)}"
                )
            self._heads = {name: (head,) for head, name in enumerate(generators)}
        for name, generator in generators.items():
            self.add_player(name, generator, settings.lr, settings.betas)
        self.add_player("discriminator", discriminator, settings.lr, settings.betas)

    @property
    def generator(self) -> nn.Module:
        return self.players[self.names[0]]

    @property
    def products(self) -> dict[str, nn.Module]:
        others = {name: self.players[name] for name in self.names[1:]}
        return {"model": self.generator, **others, "discriminator": self.players["discriminator"]}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        fakes = {name: self.networks[name](batch.x) for name in self.names}
        scored = self.discriminator_terms(batch, fakes)
        self.backward(total(scored) / 2, "discriminator", terms=scored)
        self.update("discriminator")

        terms = self.image_terms(batch, fakes)
        self.backward(total(terms), *self.names, terms=terms)
        self.update(*self.names)
        return detached(**scored, **terms)

    def discriminator_terms(self, batch: Batch, fakes: Fakes) -> Losses:
        """The discriminator's terms; its loss is half of their sum."""
        mode, terms = self.settings.gan_mode, {}
        for name, fake in fakes.items():
            terms[_term("D_fake", name)] = fake_loss(self._scored(batch, fake.detach(), name), mode)
            terms[_term("D_real", name)] = real_loss(self._scored(batch, batch.y, name), mode)
        return terms

    def image_terms(self, batch: Batch, fakes: Fakes) -> Losses:
        """The generators' terms."""
        s, terms = self.settings, {}
        for name, fake in fakes.items():
            terms[_term("G_gan", name)] = s.gan * fool_loss(self._scored(batch, fake, name), s.gan_mode)
            terms[_term("G_recon", name)] = s.recon * pixel_loss(fake, batch.y, s.recon_loss)
        return terms

    def _scored(self, batch: Batch, image: Float[Tensor, "batch channels height width"], name: str) -> Tensor:
        """What the discriminator says to this generator's image, or to a real one in its place."""
        return self.networks["discriminator"](torch.cat([batch.x, image], 1), *self._heads[name])


def _term(term: str, generator: str) -> str:
    return term if generator == "generator" else f"{term}_{generator}"
