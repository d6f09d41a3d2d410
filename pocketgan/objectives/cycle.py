"""CycleGAN: two generators, each the way back of the other, and a discriminator for each domain.

L_G = gan * fool + cycle * |back - real| + identity * |G(image of its own target domain) - that image|, both ways,
against the D from before the step; then L_D = (fake + real) / 2 for each D, fakes from a pool of past ones.

Source: Zhu et al., ICCV 2017; the order of updates is the official code's.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.losses.adversarial import GanMode, fake_loss, fool_loss, real_loss
from pocketgan.losses.pixel import pixel_loss
from pocketgan.objectives.base import Losses, Objective, ObjectiveSettings, detached, total
from pocketgan.objectives.pool import ImagePool


class CycleTerms(ObjectiveSettings):
    """Weights of the terms, size of the image pools (0: none), and Adam's numbers.

    `identity` needs domains of as many channels; at 0 its forwards are saved.
    """

    gan_mode: GanMode = "lsgan"
    cycle: NonNegativeFloat = 10.0
    identity: NonNegativeFloat = 5.0
    pool: NonNegativeInt = 50


class CycleGanSettings(CycleTerms):
    """Those of CycleGAN itself."""

    kind: Literal["cyclegan"] = "cyclegan"


class CycleGan(Objective):
    """`generator`: from domain A (a batch's x) to B (its y), judged by `discriminator`; `backward_generator`: from
    B to A, judged by `backward_discriminator`. The discriminators see images alone.

    `discriminator_lr`: the discriminators' learning rate; default the generators'.
    """

    settings: CycleTerms

    def __init__(
        self,
        settings: CycleTerms,
        generator: nn.Module,
        backward_generator: nn.Module,
        discriminator: nn.Module,
        backward_discriminator: nn.Module,
        *,
        discriminator_lr: float | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        judging = discriminator_lr or settings.lr
        self.pools = {name: ImagePool(settings.pool) for name in ("discriminator", "backward_discriminator")}
        self.add_player("generator", generator, settings.lr, settings.betas)
        self.add_player("backward", backward_generator, settings.lr, settings.betas)
        self.add_player("discriminator", discriminator, judging, settings.betas)
        self.add_player("backward_discriminator", backward_discriminator, judging, settings.betas)

    @property
    def generator(self) -> nn.Module:
        return self.players["generator"]

    @property
    def products(self) -> dict[str, nn.Module]:
        names = ("backward", "discriminator", "backward_discriminator")
        return {"model": self.generator, **{name: self.players[name] for name in names}}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        return self._played(batch.x, batch.y, self.networks["generator"], rng)

    def _played(self, a: Tensor, b: Tensor, to_b: Callable[[Tensor], Tensor], rng: random.Random) -> Losses:
        """One step with this generator from A to B. It may make several batches of one, one after the other: the
        mean over all images is the mean over them."""
        terms, fake_b, fake_a = self._generator_terms(a, b, to_b)
        self.backward(total(terms), "generator", "backward", terms=terms)
        self.update("generator", "backward")

        for name, fake, real, way in (
            ("discriminator", fake_b, b, ""),
            ("backward_discriminator", fake_a, a, "_backward"),
        ):
            discriminator, mode = self.networks[name], self.settings.gan_mode
            past = [self._from_pool(name, each, rng) for each in fake.split(len(real))]
            d_fake = fake_loss(discriminator(torch.cat(past)), mode)
            d_real = real_loss(discriminator(real), mode)
            scored = {f"D_fake{way}": d_fake, f"D_real{way}": d_real}
            self.backward((d_fake + d_real) / 2, name, terms=scored)
            self.update(name)
            terms |= scored
        return detached(**terms)

    def _generator_terms(
        self, a: Tensor, b: Tensor, to_b: Callable[[Tensor], Tensor]
    ) -> tuple[Losses, Tensor, Tensor]:
        """The generators' terms, and what these made of both batches: images of B and of A."""
        s, to_a = self.settings, self.networks["backward"]
        d_b, d_a = self.networks["discriminator"], self.networks["backward_discriminator"]

        fake_b, fake_a = to_b(a), to_a(b)
        terms = {
            "G_gan": s.gan * fool_loss(d_b(fake_b), s.gan_mode),
            "G_gan_backward": s.gan * fool_loss(d_a(fake_a), s.gan_mode),
            "G_cycle": s.cycle * _distance(to_a(fake_b), a),
            "G_cycle_backward": s.cycle * _distance(to_b(fake_a), b),
        }
        if s.identity:
            terms["G_identity"] = s.identity * _distance(to_b(b), b)
            terms["G_identity_backward"] = s.identity * _distance(to_a(a), a)
        return terms, fake_b, fake_a

    def _from_pool(self, name: str, fake: Tensor, rng: random.Random) -> Tensor:
        """What a discriminator sees in place of these fakes. Every process keeps the pool of the whole batch."""
        return self.world.share(self.pools[name].exchange(self.world.joined(fake), rng))

    def state_dict(self) -> dict[str, Any]:
        pools = {name: pool.state_dict() for name, pool in self.pools.items()}
        return {**super().state_dict(), "pools": pools}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        device = next(self.generator.parameters()).device
        for name, pool in self.pools.items():
            pool.load_state_dict(state["pools"][name], device)


def _distance(images: Tensor, real: Tensor) -> Tensor:
    """L1 of one or several batches of images, one after the other, from the same real ones."""
    return pixel_loss(images, real.repeat(len(images) // len(real), 1, 1, 1), "l1")
