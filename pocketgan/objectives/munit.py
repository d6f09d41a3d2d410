"""MUNIT: two generators that split an image into content and style, and exchange styles between two domains.

L_G = gan * fool + image * |own image rebuilt - it| + content * |content of the fake - the content it was made of|
+ style * |style of the fake - the drawn style|, over both domains, against the D from before the step; then, with
new styles and the updated generators: L_D = fake + real for each D.

Source: Huang et al., ECCV 2018; the order of updates is that of the official code of GAN Compression.
"""

from __future__ import annotations

import random
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.distributed import ALONE, World
from pocketgan.losses.adversarial import GanMode, fake_loss, fool_loss, real_loss
from pocketgan.networks import Generator
from pocketgan.networks.munit import MunitGenerator
from pocketgan.objectives.base import Losses, Objective, ObjectiveSettings, detached, total

#: something for domain A and for domain B
Both = tuple[Tensor, Tensor]


class MunitTerms(ObjectiveSettings):
    """What teacher and student share: weights of the L1 terms, and Adam's numbers."""

    gan_mode: GanMode = "lsgan"
    image: NonNegativeFloat = 10.0
    content: NonNegativeFloat = 1.0
    style: NonNegativeFloat = 1.0
    lr: PositiveFloat = 1e-4
    weight_decay: NonNegativeFloat = 1e-4


class MunitSettings(MunitTerms):
    """Weights of the terms, and Adam's numbers."""

    kind: Literal["munit"] = "munit"


class Munit(Objective):
    """`generator_a`, `generator_b`: of one spec, each for the images of its domain (a batch's x and y).

    The network whose training this is translates from A to B: the content encoder of A, all else of B. It shares
    their weights. `discriminator` judges domain B, `backward_discriminator` domain A; both see images alone.
    """

    def __init__(
        self,
        settings: MunitSettings,
        generator_a: MunitGenerator,
        generator_b: MunitGenerator,
        discriminator: nn.Module,
        backward_discriminator: nn.Module,
    ) -> None:
        super().__init__()
        self.settings = settings
        self._to_b, self._to_a = translator(generator_a, generator_b), translator(generator_b, generator_a)
        adam = (settings.lr, settings.betas, settings.weight_decay)
        self.add_player("generators", _Generators(generator_a, generator_b), *adam)
        self.add_player("discriminator", discriminator, *adam)
        self.add_player("backward_discriminator", backward_discriminator, *adam)

    @property
    def generator(self) -> nn.Module:
        return self._to_b

    @property
    def products(self) -> dict[str, nn.Module]:
        names = ("discriminator", "backward_discriminator")
        return {"model": self._to_b, "backward": self._to_a, **{name: self.players[name] for name in names}}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s, (a, b, _) = self.settings, batch
        d_b, d_a = self.networks["discriminator"], self.networks["backward_discriminator"]

        (fake_a, fake_b), errors = self.networks["generators"]((a, b), self._styles(batch, rng))
        terms = {
            "G_gan": s.gan * (fool_loss(d_a(fake_a), s.gan_mode) + fool_loss(d_b(fake_b), s.gan_mode)),
            "G_image": s.image * errors["image"],
            "G_content": s.content * errors["content"],
            "G_style": s.style * errors["style"],
        }
        self.backward(total(terms), "generators", terms=terms)
        self.update("generators")

        with torch.no_grad():
            (fake_a, fake_b), _ = self.networks["generators"]((a, b), self._styles(batch, rng), fakes_only=True)
        scored = {
            "D_fake": fake_loss(d_a(fake_a), s.gan_mode) + fake_loss(d_b(fake_b), s.gan_mode),
            "D_real": real_loss(d_a(a), s.gan_mode) + real_loss(d_b(b), s.gan_mode),
        }
        self.backward(total(scored), "discriminator", "backward_discriminator", terms=scored)
        self.update("discriminator", "backward_discriminator")
        return detached(**scored, **terms)

    def _styles(self, batch: Batch, rng: random.Random) -> Both:
        """A style for each fake of domain A and of domain B."""
        return (
            draw_styles(self._to_a, batch.y, rng, self.world),
            draw_styles(self._to_b, batch.x, rng, self.world),
        )


class _Generators(nn.Module):
    """Both generators in one module: one optimizer."""

    def __init__(self, a: MunitGenerator, b: MunitGenerator) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, images: Both, styles: Both, fakes_only: bool = False) -> tuple[Both, dict[str, Tensor]]:
        """Fakes of each domain in these styles; and the mean absolute errors, added up over both domains, of the
        images rebuilt from their own codes, and of content and style read from the fakes again."""
        a, b = self.a, self.b
        content_a, content_b = a.content(images[0]), b.content(images[1])
        fakes = (a.decode(content_b, styles[0]), b.decode(content_a, styles[1]))
        if fakes_only:
            return fakes, {}
        rebuilt = (a.decode(content_a, a.style(images[0])), b.decode(content_b, b.style(images[1])))
        return fakes, {
            "image": _error(rebuilt, images),
            "content": _error((a.content(fakes[0]), b.content(fakes[1])), (content_b, content_a)),
            "style": _error((a.style(fakes[0]), b.style(fakes[1])), styles),
        }


def _error(found: Both, wanted: Both) -> Tensor:
    first, second = (nn.functional.l1_loss(f, w) for f, w in zip(found, wanted, strict=True))
    return first + second


def translator(source: MunitGenerator, target: MunitGenerator) -> MunitGenerator:
    """The network that translates between the domains of two generators of one spec, made of their own parts.

    The content encoder of the domain that images come from; style encoder and decoder of the domain they go to.
    """
    with torch.device("meta"):
        network = target.spec.build()
    network.content_encoder = source.content_encoder
    for part in ("style_encoder", "decoder", "mlp"):
        setattr(network, part, getattr(target, part))
    return network


def draw_styles(
    network: Generator, images: Float[Tensor, "batch in height width"], rng: random.Random, world: World = ALONE
) -> Float[Tensor, "batch style 1 1"]:
    """A style for each image, from the network's prior; drawn on the CPU, so that no device changes them, and for
    the whole batch, so that no other share of it does."""
    generator = torch.Generator().manual_seed(rng.getrandbits(63))
    return world.share(network.draw(len(images) * world.size, generator)["style"]).to(images)
