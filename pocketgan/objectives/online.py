"""OMGD: teachers learn by pix2pix, and a student learns from them while they do.

L_S = sum over teachers T of [ssim * (1 - SSIM(S, T)) + style * sum over stages |gram(f(S)) - gram(f(T))|
      + feature * |f2(S) - f2(T)| + total_variation * TV(S)]
      + channel * sum over taps of MSE(mean over positions of connector(S_tap), that of W_tap)

f are the activations of a perceptual network at its first four stages, f2 those at the second; W is the wide
teacher. The student sees neither a discriminator nor a real image, and the discriminator never sees the student.
Teachers and discriminator learn at every `n_dis`-th step alone, and unlike in pix2pix against each other as they
were before the step. The student imitates the images from before the step too. So all gradients come first, then
all updates.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021; the cadence and the
order of updates are the official code's, and so is the total variation's weight, once per teacher.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.errors import SpecError
from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.losses.perceptual import feature_loss, style_loss
from pocketgan.losses.structural import ssim_loss, total_variation
from pocketgan.networks.spec import ignore
from pocketgan.objectives.base import Beta, Losses, Objective, detached, total
from pocketgan.objectives.pix2pix import Fakes, Pix2Pix, Pix2PixSettings
from pocketgan.objectives.student import Taps
from pocketgan.pretrained.perceptual import STAGES

#: the folder that keeps each teacher
_FOLDERS = {"wide": "teacher", "deep": "deep_teacher"}
#: where the perceptual network is tapped: OMGD's relu1_2, relu2_2, relu3_3, relu4_3 of VGG16, and relu2_2
_STYLE, _FEATURE = STAGES[:4], STAGES[1]


class OnlineSettings(BaseModel):
    """The teachers' game, how often it is played, weights of the student's terms, and Adam's numbers for it.

    The weights are the published ones of every run but for `channel` and `n_dis`, which are those of the U-Net on
    Cityscapes: 50 and 3 (elsewhere 0 to 1000, and 1). Without weights for `style` and `feature` no perceptual
    network is needed, without one for `channel` neither connectors nor a wide teacher.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["omgd"] = "omgd"
    teaching: Pix2PixSettings = Pix2PixSettings()
    n_dis: PositiveInt = 3
    ssim: NonNegativeFloat = 10.0
    style: NonNegativeFloat = 1e4
    feature: NonNegativeFloat = 10.0
    total_variation: NonNegativeFloat = 1e-5
    channel: NonNegativeFloat = 50.0
    lr: PositiveFloat = 2e-4
    betas: tuple[Beta, Beta] = (0.5, 0.999)


class OnlineStudent(nn.Module):
    """Student and connectors in one module: one optimizer, and one wrapper when training is distributed."""

    def __init__(self, network: nn.Module, connectors: ChannelConnectors) -> None:
        super().__init__()
        self.network, self.connectors = network, connectors

    def forward(
        self,
        x: Float[Tensor, "batch in height width"],
        teacher_features: dict[str, Float[Tensor, "batch _ _ _"]],
    ) -> tuple[Float[Tensor, "batch out rows columns"], dict[str, Float[Tensor, ""]]]:
        """The image, and how far the channels' means are from the teacher's at each tap."""
        taps = Taps(tuple(self.connectors.taps))
        image = self.network(x, taps)
        return image, self.connectors(taps.values, teacher_features)


class OnlineDistiller(Objective):
    """A student, and a wide teacher, a deep one, or both.

    `connectors`: from the student's taps to those of the same name in the wide teacher. `perceptual`: a frozen
    network, images in [-1, 1] -> its activations by stage. Each is left aside where its terms have the weight 0.
    A discriminator with heads has the wide teacher's first.
    """

    def __init__(
        self,
        settings: OnlineSettings,
        student: nn.Module,
        discriminator: nn.Module,
        *,
        wide: nn.Module | None = None,
        deep: nn.Module | None = None,
        connectors: ChannelConnectors | None = None,
        perceptual: nn.Module | None = None,
    ) -> None:
        super().__init__()
        teachers = {name: network for name, network in (("wide", wide), ("deep", deep)) if network is not None}
        _check(settings, teachers, connectors, perceptual)
        self.settings = settings
        self.teaching = Pix2Pix(settings.teaching, teachers, discriminator)
        # The teachers' game is part of this one: what is done to these networks and optimizers is done to its own.
        self.players = self.teaching.players
        self.networks, self.optimizers = self.teaching.networks, self.teaching.optimizers
        chosen = connectors if settings.channel and connectors is not None else ChannelConnectors({})
        self._student = OnlineStudent(student, chosen)
        self.add_player("student", self._student, settings.lr, settings.betas)
        if (settings.style or settings.feature) and perceptual is not None:
            self.add_frozen("perceptual", perceptual)
        self._steps = 0

    @property
    def generator(self) -> nn.Module:
        return self._student.network

    @property
    def products(self) -> dict[str, nn.Module]:
        return {
            "model": self.generator,
            **{_FOLDERS[name]: self.players[name] for name in self.teaching.names},
            "discriminator": self.players["discriminator"],
        }

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        self._steps += 1
        turn = self._steps % self.settings.n_dis == 0

        # what the teachers make of the batch, once for themselves and for the student
        taps = Taps(tuple(self._student.connectors.taps))
        with torch.set_grad_enabled(turn):
            images = {
                name: self.networks[name](batch.x, taps if name == "wide" else ignore)
                for name in self.teaching.names
            }
        losses = self._teach(batch, images) if turn else {}

        # the student, against what they were
        features = {tap: x.detach() for tap, x in taps.values.items()}
        image, channels = self.networks["student"](batch.x, features)
        terms = self._imitation_terms(image, {name: target.detach() for name, target in images.items()})
        if channels:
            terms["G_channel"] = self.settings.channel * total(channels)
        self.backward(total(terms), "student")
        self.update(*(self.players if turn else ("student",)))
        return {**losses, **detached(**terms)}

    def _teach(self, batch: Batch, images: Fakes) -> Losses:
        """The gradients of the teachers and of the discriminator."""
        judged = self.teaching.judge_terms(batch, images)
        self.backward(total(judged) / 2, "discriminator")
        terms = self.teaching.image_terms(batch, images)
        self.backward(total(terms), *self.teaching.names)
        return detached(**judged, **terms)

    def _imitation_terms(self, image: Float[Tensor, "batch 3 height width"], targets: Fakes) -> Losses:
        """The student's terms that its image alone decides."""
        s, sight = self.settings, self.frozen.get("perceptual")
        seen = {} if sight is None else sight(image)
        # once for each teacher, whose images it does not concern
        terms = {"G_tv": len(targets) * s.total_variation * total_variation(image)}
        for name, target in targets.items():
            terms[f"G_ssim_{name}"] = s.ssim * ssim_loss(image, target)
            if sight is not None:
                with torch.no_grad():
                    wanted = sight(target)
                terms[f"G_style_{name}"] = s.style * style_loss({stage: seen[stage] for stage in _STYLE}, wanted)
                terms[f"G_feature_{name}"] = s.feature * feature_loss(seen[_FEATURE], wanted[_FEATURE])
        return terms

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._steps = state["steps"]


def _check(
    settings: OnlineSettings,
    teachers: Mapping[str, nn.Module],
    connectors: ChannelConnectors | None,
    perceptual: nn.Module | None,
) -> None:
    """Raises SpecError where a term has a weight and nothing to be computed with."""
    if not teachers:
        raise SpecError(
            "an online student learns from its teachers alone, and there is none; hand in a wide or a deep one"
        )
    needs = (
        ("channel distillation", "channel", "wide" in teachers, "wide teacher; hand one in"),
        ("channel distillation", "channel", connectors is not None, "connectors; hand some in"),
        ("the style term", "style", perceptual is not None, "network to see with; hand one in"),
        ("the feature term", "feature", perceptual is not None, "network to see with; hand one in"),
    )
    for what, field, there, missing in needs:
        weight = getattr(settings, field)
        if weight and not there:
            raise SpecError(f"{what} has the weight {weight:g} and no {missing}, or set {field} to 0")
