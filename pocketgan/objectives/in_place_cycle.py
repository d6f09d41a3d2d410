"""In-place distillation without pairs: CycleGAN with a supernet from A to B, without a teacher beside it.

A step draws subnets S_1, ..., S_n. All terms of CycleGAN in which the generator from A to B stands are means over
them, the way back is a plain network, and the first one drawn is the others' teacher:

    L_G = mean over i of
          [gan * fool(S_i) + cycle * (|back(S_i(a)) - a| + |S_i(back(b)) - b|) + identity * |S_i(b) - b|]
          + gan * fool(back) + identity * |back(a) - a| + imitation * mean over i > 1 of |S_i(a) - S_1(a)|

then each discriminator's turn, as in CycleGAN. What is left of the supernet are its averaged weights.

A plain network in the place of the supernet, without `averaged` and at equal learning rates, is CycleGAN itself.

Source: Zhu et al., ICCV 2017 (CycleGAN); see `in_place` for the rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.space import SearchSpace
from pocketgan.objectives.base import Losses
from pocketgan.objectives.cycle import CycleGan, CycleTerms
from pocketgan.objectives.in_place import InPlaceGame, InPlaceNumbers
from pocketgan.objectives.student import at_resolution, visited


class InPlaceCycleSettings(InPlaceNumbers, CycleTerms):
    """CycleGAN's numbers, and what in-place distillation adds. `lr`: of both generators."""

    kind: Literal["in-place-cyclegan"] = "in-place-cyclegan"


class InPlaceCycle(InPlaceGame, CycleGan):
    """`student`, from A to B: a plain network, or a supernet together with the `space` that its subnets are drawn
    from. The others: see `CycleGan`."""

    settings: InPlaceCycleSettings

    def __init__(
        self,
        settings: InPlaceCycleSettings,
        student: nn.Module,
        backward_generator: nn.Module,
        discriminator: nn.Module,
        backward_discriminator: nn.Module,
        space: SearchSpace | None = None,
    ) -> None:
        others = backward_generator, discriminator, backward_discriminator
        super().__init__(settings, student, *others, discriminator_lr=settings.discriminator_lr)
        self._begin(student, space)

    @property
    def products(self) -> dict[str, nn.Module]:
        return {**super().products, "model": self._left}

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        batch = at_resolution(batch, self.settings.sampling, rng)
        subnets = visited(self.space, self.settings.sampling, rng)

        def to_b(x: Tensor) -> Tensor:
            return torch.cat([self._image(x, at) for at in subnets])

        losses = self._played(batch.x, batch.y, to_b, rng)
        self._follow()
        return losses

    def _generator_terms(
        self, a: Tensor, b: Tensor, to_b: Callable[[Tensor], Tensor]
    ) -> tuple[Losses, Tensor, Tensor]:
        terms, fake_b, fake_a = super()._generator_terms(a, b, to_b)
        return terms | self._imitation(fake_b.split(len(a)), "l1"), fake_b, fake_a
