"""In-place distillation: pix2pix of a supernet, without a teacher beside it.

A step draws subnets S_1, ..., S_n; all learn from the truth and play against one discriminator:

    L_D = (mean over i of fake(S_i) + real) / 2, then, against the updated D:
    L_G = mean over i of
          [gan * fool(S_i) + recon * |S_i(x) - y| + matching * sum over taps of |D_tap(S_i) - D_tap(y)|]
          + imitation * mean over i > 1 of |S_i(x) - S_1(x)|

The first one drawn, the largest where both ends are drawn, is the others' teacher: they imitate what it made at the
same step, and as they are its leading channels, no adaptor is between. Features of the real images are those of the
discriminator's own turn, so that they cost nothing. What is left are the averaged weights.

A plain network in the place of the supernet, without `matching` and `averaged` and at equal learning rates, is
pix2pix itself: training from scratch is a special case.

Source: Yu & Huang, "Universally Slimmable Networks", ICCV 2019 (in-place distillation); Wang et al., "pix2pixHD",
CVPR 2018 (features of the discriminator); Karras et al., "Analyzing and Improving the Training Dynamics of
Diffusion Models", CVPR 2024, section 3.1 (averages whose length grows with the training).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.distributed import ALONE, World
from pocketgan.elastic.sampling import AnySampling, LevelSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.feature_matching import feature_matching
from pocketgan.losses.pixel import Pixel, pixel_loss
from pocketgan.networks.discriminators import PatchDiscriminator
from pocketgan.networks.spec import ignore
from pocketgan.objectives.average import Average
from pocketgan.objectives.base import Losses, Objective, ObjectiveSettings, detached, total
from pocketgan.objectives.precision import Precision
from pocketgan.objectives.student import Taps, at_resolution, visited


class InPlaceNumbers(BaseModel):
    """What in-place distillation adds to a game.

    `lr`: the generator's; small networks bear a higher one than the published 2e-4, which discriminators keep.
    `sampling`: which subnets a step visits.
    `averaged`: what is left is the average over about this share of all steps; 0 leaves the last weights.
    """

    imitation: NonNegativeFloat = 10.0
    lr: PositiveFloat = 1e-3
    discriminator_lr: PositiveFloat = 2e-4
    sampling: AnySampling = LevelSampling(ends=False)
    averaged: Annotated[float, Field(ge=0, lt=1)] = 0.05


class InPlaceSettings(InPlaceNumbers, ObjectiveSettings):
    """Weights of the terms, Adam's numbers, and which subnets a step visits."""

    kind: Literal["in-place"] = "in-place"
    recon: NonNegativeFloat = 100.0
    recon_loss: Pixel = "l1"
    matching: NonNegativeFloat = 10.0


class InPlaceGame(Objective):
    """A game in which a network stands for one or several of its subnets, and leaves its averaged weights."""

    settings: Any

    def _begin(self, student: nn.Module, space: SearchSpace | None) -> None:
        """`student`: a plain network, or a supernet together with the `space` that its subnets are drawn from."""
        averaged = self.settings.averaged
        if averaged and isinstance(student, Supernet) and student.kernels.layers:
            raise SpecError(
                "averaged weights (objective.averaged) and elastic kernels do not go together; set averaged to 0 "
                "or leave kernel= out of the space"
            )
        self.space, self._student = space, student
        self._average = Average(self._product) if averaged else None
        self._steps = 0

    @property
    def generator(self) -> nn.Module:
        return self._student

    @property
    def _product(self) -> nn.Module:
        return self._student.network if isinstance(self._student, Supernet) else self._student

    @property
    def _left(self) -> nn.Module:
        """The network that the training leaves."""
        return self._average.network if self._average else self._product

    def setup(self, device: torch.device, precision: Precision, world: World = ALONE) -> None:
        super().setup(device, precision, world)
        if self._average:
            self._average.network.to(device)

    def _image(self, x: Float[Tensor, "batch in height width"], at: Any) -> Float[Tensor, "batch out height width"]:
        """What the network, or a subnet of it, makes of the inputs."""
        network = self.networks["generator"]
        return network(x) if at is None else network(x, at)

    def _imitation(self, images: Sequence[Float[Tensor, "batch out height width"]], loss: Pixel) -> Losses:
        """How far the images of the other subnets are from that of the first one."""
        if not self.settings.imitation or len(images) == 1:
            return {}
        target = images[0].detach().repeat(len(images) - 1, 1, 1, 1)
        return {"G_imitation": self.settings.imitation * pixel_loss(torch.cat([*images[1:]]), target, loss)}

    def _follow(self) -> None:
        """After every step: the average goes on towards the new weights."""
        self._steps += 1
        if self._average:
            self._average.follow(self._product, 1 / (self.settings.averaged * self._steps + 1))

    def state_dict(self) -> dict[str, Any]:
        average = {"average": self._average.state_dict()} if self._average else {}
        return {**super().state_dict(), **average, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if self._average:
            self._average.load_state_dict(state["average"])
        self._steps = state["steps"]


class InPlace(InPlaceGame):
    """`student`, `space`: see `InPlaceGame._begin`."""

    settings: InPlaceSettings

    def __init__(
        self,
        settings: InPlaceSettings,
        student: nn.Module,
        discriminator: PatchDiscriminator,
        space: SearchSpace | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self._taps = discriminator.spec.taps if settings.matching else ()
        self.add_player("generator", student, settings.lr, settings.betas)
        self.add_player("discriminator", discriminator, settings.discriminator_lr, settings.betas)
        self._begin(student, space)

    @property
    def products(self) -> dict[str, nn.Module]:
        return {"model": self._left, "discriminator": self.players["discriminator"]}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s = self.settings
        batch = at_resolution(batch, s.sampling, rng)
        subnets = visited(self.space, s.sampling, rng)
        images = [self._image(batch.x, at) for at in subnets]
        # the images of all subnets are one batch: the mean over it is the mean over them
        made = torch.cat(images)
        x, y = (half.repeat(len(subnets), 1, 1, 1) for half in (batch.x, batch.y))

        scored, real = self._discriminator_terms(batch, x, made.detach())
        self.backward(total(scored) / 2, "discriminator", terms=scored)
        self.update("discriminator")

        seen = Taps(self._taps)
        score = self._scored(x, made, seen)
        terms = {
            "G_gan": s.gan * fool_loss(score, s.gan_mode),
            "G_recon": s.recon * pixel_loss(made, y, s.recon_loss),
        }
        if s.matching:
            fakes, reals = ([each.values[tap].to(score.dtype) for tap in self._taps] for each in (seen, real))
            reals = [each.repeat(len(subnets), 1, 1, 1) for each in reals]
            # the last one of each, the scores, is not compared
            terms["G_matching"] = s.matching * feature_matching([[*fakes, score]], [[*reals, score]])
        terms |= self._imitation(images, s.recon_loss)
        self.backward(total(terms), "generator", terms=terms)
        self.update("generator")
        self._follow()
        return detached(**scored, **terms)

    def _discriminator_terms(
        self,
        batch: Batch,
        x: Float[Tensor, "images in height width"],
        made: Float[Tensor, "images out height width"],
    ) -> tuple[Losses, Taps]:
        """The discriminator's terms, whose loss is half of their sum, and what it sees in the real images."""
        mode, real = self.settings.gan_mode, Taps(self._taps)
        terms = {"D_fake": fake_loss(self._scored(x, made), mode)}
        terms["D_real"] = real_loss(self._scored(batch.x, batch.y, real), mode)
        return terms, real

    def _scored(self, x: Tensor, image: Tensor, tap: Any = ignore) -> Tensor:
        return self.networks["discriminator"](torch.cat([x, image], 1), tap)
