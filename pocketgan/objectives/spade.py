"""SPADE (GauGAN): images from label maps, judged at several scales.

L_G = gan * fool + feature_matching * |D's features of fake - of real| + perceptual * distance(fake, real), then,
with the image made again by the updated G: L_D = fake + real. D sees the label map too, and fakes and reals in one
pass.

Source: Park et al., CVPR 2019; Heusel et al., NeurIPS 2017 (two learning rates); the order of updates is the
official code's.
"""

from __future__ import annotations

import random
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.errors import SpecError
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.feature_matching import feature_matching
from pocketgan.losses.perceptual import vgg_loss
from pocketgan.objectives.base import Beta, Losses, Objective, ObjectiveSettings, detached, total

#: for each scale, the feature maps of D
Maps = list[list[Tensor]]
#: by stage, what the perceptual network makes of the real images; None without one
Features = dict[str, Tensor] | None


class SpadeTerms(ObjectiveSettings):
    """What teacher and student share; the generator learns at half of `lr`, the discriminator at twice `lr`.

    At 0 the perceptual term is not computed and needs no network.
    """

    feature_matching: NonNegativeFloat = 10.0
    perceptual: NonNegativeFloat = 10.0
    betas: tuple[Beta, Beta] = (0.0, 0.9)


class SpadeSettings(SpadeTerms):
    """Weights of the terms, and Adam's numbers."""

    kind: Literal["spade"] = "spade"


class SpadeGame(Objective):
    """A generator of images from label maps, whatever it is, against a multiscale discriminator.

    `perceptual`: a frozen network, images in [-1, 1] -> its activations by stage; none where its weight is 0.
    """

    def __init__(self, settings: SpadeTerms, discriminator: nn.Module, perceptual: nn.Module | None) -> None:
        super().__init__()
        if settings.perceptual and perceptual is None:
            raise SpecError(
                f"the perceptual term has the weight {settings.perceptual:g} and no network to see with; "
                "hand one in, or set perceptual to 0"
            )
        self._terms = settings
        self.add_player("discriminator", discriminator, 2 * settings.lr, settings.betas)
        if settings.perceptual and perceptual is not None:
            self.add_frozen("perceptual", perceptual)

    def real_features(self, batch: Batch) -> Features:
        """What the perceptual network makes of the real images."""
        if "perceptual" not in self.frozen:
            return None
        with torch.no_grad():
            return self.frozen["perceptual"](batch.y)

    def image_terms(
        self, batch: Batch, fake: Float[Tensor, "batch channels height width"], real_features: Features
    ) -> Losses:
        """The generator's terms that its image alone decides."""
        s = self._terms
        on_fake, on_real = self._scored(batch, fake)
        terms = {
            "G_gan": s.gan * fool_loss(on_fake, s.gan_mode),
            "G_features": s.feature_matching * feature_matching(on_fake, on_real),
        }
        if real_features is not None:
            terms["G_perceptual"] = s.perceptual * vgg_loss(self.frozen["perceptual"](fake), real_features)
        return terms

    def discriminator_terms(self, batch: Batch, fake: Float[Tensor, "batch channels height width"]) -> Losses:
        """The discriminator's terms."""
        on_fake, on_real = self._scored(batch, fake)
        mode = self._terms.gan_mode
        return {"D_fake": fake_loss(on_fake, mode), "D_real": real_loss(on_real, mode)}

    def _scored(self, batch: Batch, fake: Float[Tensor, "batch channels height width"]) -> tuple[Maps, Maps]:
        """D's features of fake and real images, from one pass over both."""
        both = self.networks["discriminator"](
            torch.cat([torch.cat([batch.x, fake], 1), torch.cat([batch.x, batch.y], 1)])
        )
        count = len(fake)
        return [[x[:count] for x in scale] for scale in both], [[x[count:] for x in scale] for scale in both]


class Spade(SpadeGame):
    """The teacher."""

    def __init__(
        self,
        settings: SpadeSettings,
        generator: nn.Module,
        discriminator: nn.Module,
        perceptual: nn.Module | None = None,
    ) -> None:
        super().__init__(settings, discriminator, perceptual)
        self.add_player("generator", generator, settings.lr / 2, settings.betas)

    @property
    def generator(self) -> nn.Module:
        return self.players["generator"]

    @property
    def products(self) -> dict[str, nn.Module]:
        return {"model": self.generator, "discriminator": self.players["discriminator"]}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        generator = self.networks["generator"]
        terms = self.image_terms(batch, generator(batch.x), self.real_features(batch))
        self.backward(total(terms), "generator", terms=terms)
        self.update("generator")

        with torch.no_grad():
            fake = generator(batch.x)
        scored = self.discriminator_terms(batch, fake)
        self.backward(total(scored), "discriminator", terms=scored)
        self.update("discriminator")
        return detached(**scored, **terms)
