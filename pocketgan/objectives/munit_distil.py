"""Distillation of MUNIT: a student translator learns to make its teacher's images from its teacher's codes.

L_G = gan * fool + image * |S's image - T's image| + content * |adaptor(c_S) - c_T| + style * |s_S - s_T|

At odd steps teacher and student both take the style of a real image of the target domain, each through its own
style encoder; at even steps they share a drawn style, and there is no style term. For a supernet each step visits
one subnet or several, and both losses are means over them. D's and G's gradients are both taken with the D from
before the step.

Source: Fast GAN Compression (Li et al., TPAMI 2022).
"""

from __future__ import annotations

import random
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.sampling import AnySampling, UniformSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Subnet, Supernet
from pocketgan.errors import SpecError
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import Generator
from pocketgan.networks.munit import MunitGenerator
from pocketgan.objectives.base import Losses, detached, mean_losses, total
from pocketgan.objectives.munit import MunitTerms, draw_styles
from pocketgan.objectives.student import Student, StudentGame, Taps, at_resolution, translate, visited


class MunitDistilSettings(MunitTerms):
    """Weights of the terms, Adam's numbers, and which subnets of a supernet a step visits."""

    kind: Literal["munit-distil"] = "munit-distil"
    sampling: AnySampling = UniformSampling()


class MunitDistiller(StudentGame):
    """`teacher`: the translator that a `Munit` leaves. `student`: one like it, or a supernet together with the
    `space` that its subnets are drawn from. `adaptors`: one, for the tap `content`. The discriminator sees images
    of the target domain alone."""

    def __init__(
        self,
        settings: MunitDistilSettings,
        teacher: Generator,
        student: Generator | Supernet,
        adaptors: Adaptors,
        discriminator: nn.Module,
        space: SearchSpace | None = None,
    ) -> None:
        super().__init__()
        self._student = _CodeStudent(student, adaptors)
        _style_encoder(self._student.product)  # a missing one is said here, not at the first step
        self.settings, self.space, self.steps = settings, space, 0
        self.add_frozen("teacher", teacher)
        # its style encoder also by itself, for it reads other images than those that are translated
        self.add_frozen("style_encoder", _style_encoder(teacher))
        adam = (settings.lr, settings.betas, settings.weight_decay)
        self.add_player("discriminator", discriminator, *adam)
        self.add_player("student", self._student, *adam)
        self._teacher = teacher

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        s, discriminator = self.settings, self.networks["discriminator"]
        batch = at_resolution(batch, s.sampling, rng)
        encoded = self.steps % 2 == 0  # the steps before this one

        taps = Taps(("content",))
        with torch.no_grad():
            if encoded:
                style = self.frozen["style_encoder"](batch.y)
            else:
                style = draw_styles(self._teacher, batch.x, rng, self.world)
            wanted = self.frozen["teacher"](batch.x, taps, style=style)
        subnets = visited(self.space, s.sampling, rng)
        rounds = []
        for subnet in subnets:
            fake, errors = self.networks["student"](
                batch.x, taps.values["content"], style, batch.y if encoded else None, subnet
            )
            # one forward of D on the fake serves D's loss and G's
            scored = discriminator(fake)
            d_fake = fake_loss(scored, s.gan_mode)
            terms = {
                "G_gan": s.gan * fool_loss(scored, s.gan_mode),
                "G_image": s.image * F.l1_loss(fake, wanted),
                "G_content": s.content * errors["content"],
            }
            if encoded:
                terms["G_style"] = s.style * errors["style"]
            # one after the other, so that several subnets need no more memory than one
            self.backward(d_fake / len(subnets), "discriminator", keep_graph=True)
            self.backward(total(terms) / len(subnets), "student", terms=terms)
            rounds.append(detached(D_fake=d_fake, **terms))
        d_real = real_loss(discriminator(batch.y), s.gan_mode)
        self.backward(d_real, "discriminator")
        self.update("discriminator", "student")
        self.steps += 1
        return {**detached(D_real=d_real), **mean_losses(rounds)}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.steps = state["steps"]


class _CodeStudent(Student):
    """A student whose codes are compared with its teacher's."""

    adaptors: Adaptors

    def forward(
        self,
        x: Float[Tensor, "batch in height width"],
        content: Float[Tensor, "batch channels rows columns"],
        style: Float[Tensor, "batch style 1 1"],
        partner: Float[Tensor, "batch in height width"] | None,
        at: Subnet | None,
    ) -> tuple[Float[Tensor, "batch out height width"], dict[str, Float[Tensor, ""]]]:
        """The image in the teacher's style, or in the student's own reading of the partner's; and the mean absolute
        errors of the codes."""
        errors = {}
        if partner is not None:
            own = self._style(partner, at)
            errors["style"] = F.l1_loss(own, style)
            style = own
        taps = Taps(("content",))
        image = translate(self.network, x, taps, at, style=style)
        errors["content"] = F.l1_loss(self.adaptors.adapt("content", taps.values["content"]), content)
        return image, errors

    def _style(self, images: Tensor, at: Subnet | None) -> Tensor:
        """The style codes of images; of a supernet's style encoder alone, without the rest of the network."""
        if isinstance(self.network, Supernet):
            return self.network.part("style_encoder", images, at)
        return _style_encoder(self.network)(images)


def _style_encoder(network: nn.Module) -> nn.Module:
    assert isinstance(network, MunitGenerator)
    if network.style_encoder is None:
        raise SpecError(
            "the distillation of a munit compares style codes, and one of its networks has no style encoder; "
            "leave style_encoder=false out of its spec"
        )
    return network.style_encoder
