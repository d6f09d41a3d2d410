"""CycleGAN: two generators, each the way back of the other, and a discriminator for each domain.

L_G = gan * fool + cycle * |back - real| + identity * |G(image of its own target domain) - that image|, both ways,
against the D from before the step; then L_D = (fake + real) / 2 for each D, fakes from a pool of past ones.

Source: Zhu et al., ICCV 2017; the order of updates is the official code's.
"""

from __future__ import annotations

import random
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.losses.adversarial import GanMode, fake_loss, fool_loss, real_loss
from pocketgan.losses.pixel import pixel_loss
from pocketgan.objectives.base import Losses, Objective, ObjectiveSettings, detached, total
from pocketgan.objectives.pool import ImagePool


class CycleGanSettings(ObjectiveSettings):
    """Weights of the terms, size of the image pools (0: none), and Adam's numbers.

    `identity` needs domains of as many channels; at 0 its forwards are saved.
    """

    kind: Literal["cyclegan"] = "cyclegan"
    gan_mode: GanMode = "lsgan"
    cycle: NonNegativeFloat = 10.0
    identity: NonNegativeFloat = 5.0
    pool: NonNegativeInt = 50


class CycleGan(Objective):
    """`generator`: from domain A (a batch's x) to B (its y), judged by `discriminator`; `backward_generator`: from
    B to A, judged by `backward_discriminator`. The discriminators see images alone."""

    def __init__(
        self,
        settings: CycleGanSettings,
        generator: nn.Module,
        backward_generator: nn.Module,
        discriminator: nn.Module,
        backward_discriminator: nn.Module,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.pools = {name: ImagePool(settings.pool) for name in ("discriminator", "backward_discriminator")}
        self.add_player("generator", generator, settings.lr, settings.betas)
        self.add_player("backward", backward_generator, settings.lr, settings.betas)
        self.add_player("discriminator", discriminator, settings.lr, settings.betas)
        self.add_player("backward_discriminator", backward_discriminator, settings.lr, settings.betas)

    @property
    def generator(self) -> nn.Module:
        return self.players["generator"]

    @property
    def products(self) -> dict[str, nn.Module]:
        names = ("backward", "discriminator", "backward_discriminator")
        return {"model": self.generator, **{name: self.players[name] for name in names}}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s, (a, b, _) = self.settings, batch
        to_b, to_a = self.networks["generator"], self.networks["backward"]
        d_b, d_a = self.networks["discriminator"], self.networks["backward_discriminator"]

        fake_b, fake_a = to_b(a), to_a(b)
        terms = {
            "G_gan": s.gan * fool_loss(d_b(fake_b), s.gan_mode),
            "G_gan_backward": s.gan * fool_loss(d_a(fake_a), s.gan_mode),
            "G_cycle": s.cycle * pixel_loss(to_a(fake_b), a, "l1"),
            "G_cycle_backward": s.cycle * pixel_loss(to_b(fake_a), b, "l1"),
        }
        if s.identity:
            terms["G_identity"] = s.identity * pixel_loss(to_b(b), b, "l1")
            terms["G_identity_backward"] = s.identity * pixel_loss(to_a(a), a, "l1")
        self.backward(total(terms), "generator", "backward", terms=terms)
        self.update("generator", "backward")

        for name, fake, real, way in (
            ("discriminator", fake_b, b, ""),
            ("backward_discriminator", fake_a, a, "_backward"),
        ):
            discriminator = self.networks[name]
            d_fake = fake_loss(discriminator(self._from_pool(name, fake, rng)), s.gan_mode)
            d_real = real_loss(discriminator(real), s.gan_mode)
            scored = {f"D_fake{way}": d_fake, f"D_real{way}": d_real}
            self.backward((d_fake + d_real) / 2, name, terms=scored)
            self.update(name)
            terms |= scored
        return detached(**terms)

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
