"""Imitation: how a student learns from what teachers make of its inputs, without discriminator or ground truth.

L_S = sum over teachers T of [ssim * (1 - SSIM(S, T)) + style * sum over stages |gram(f(S)) - gram(f(T))|
      + feature * |f2(S) - f2(T)| + total_variation * TV(S)]
      + channel * sum over taps of MSE(mean over positions of connector(S_tap), that of W_tap)

f are the activations of a perceptual network at its first four stages, f2 those at the second; W is the teacher
whose channels count. A supernet, which is Pocket's student, visits several subnets a step: what the teachers made
serves all of them, and the loss is the mean over them.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021; the total variation's
weight counts once per teacher, as in the official code.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from pocketgan.distributed import ALONE, World
from pocketgan.elastic.sampling import AnySampling, SandwichSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.losses.perceptual import feature_loss, grams, style_distance
from pocketgan.losses.pixel import pixel_loss
from pocketgan.losses.structural import ssim_loss, total_variation
from pocketgan.objectives.average import Average
from pocketgan.objectives.base import Beta, Losses, Objective, detached, mean_losses, total
from pocketgan.objectives.precision import Precision
from pocketgan.objectives.student import FeatureStudent, visited
from pocketgan.pretrained.perceptual import STAGES

#: where the perceptual network is tapped: OMGD's relu1_2, relu2_2, relu3_3, relu4_3 of VGG16, and relu2_2
LOOKED_AT = 4
_STYLE, _FEATURE = STAGES[:LOOKED_AT], STAGES[1]

#: what each teacher made of one batch, by its name
Images = Mapping[str, Float[Tensor, "batch _ height width"]]
#: activations of the teacher whose channels count, by tap
Features = Mapping[str, Float[Tensor, "batch _ _ _"]]


class ImitationSettings(BaseModel):
    """Weights of the student's terms, Adam's numbers for it, and which subnets of a supernet a step visits.

    `ema`: what is left is the moving average of the student's weights with this decay; 0 leaves them as they are.

    The weights are the published ones of every run but for `channel`, which is that of the U-Net on Cityscapes
    (elsewhere 0 to 1000). Without weights for `style` and `feature` no perceptual network is needed, without one
    for `channel` no connectors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ssim: NonNegativeFloat = 10.0
    style: NonNegativeFloat = 1e4
    feature: NonNegativeFloat = 10.0
    total_variation: NonNegativeFloat = 1e-5
    channel: NonNegativeFloat = 50.0
    pixel: NonNegativeFloat = 0.0
    lr: PositiveFloat = 2e-4
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    sampling: AnySampling = SandwichSampling(random=1)
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Look(NamedTuple):
    """What the perceptual terms compare of an image: Gram matrices by stage, and activations."""

    styles: dict[str, Tensor]
    feature: Tensor


class ImitationGame(Objective):
    """A game with a student, `_student`, that imitates teachers; who they are is the subclass's business."""

    _student: FeatureStudent

    def add_student(
        self,
        settings: ImitationSettings,
        student: nn.Module,
        connectors: ChannelConnectors | None,
        perceptual: nn.Module | None,
        space: SearchSpace | None,
    ) -> None:
        """`student`: a plain network, or a supernet together with the `space` that its widths are drawn from.

        `connectors`: from its taps to those of the same name in a teacher. `perceptual`: a frozen network, images
        in [-1, 1] -> its activations by stage. Each is left aside where its terms have the weight 0.

        Raises SpecError where a term has a weight and nothing to be computed with, and for averaged weights of a
        supernet with elastic kernels, whose matrices no average is made of.
        """
        needs = (
            ("channel distillation", "channel", connectors, "connectors; hand some in"),
            ("the style term", "style", perceptual, "network to see with; hand one in"),
            ("the feature term", "feature", perceptual, "network to see with; hand one in"),
        )
        for what, field, there, missing in needs:
            weight = getattr(settings, field)
            if weight and there is None:
                raise SpecError(f"{what} has the weight {weight:g} and no {missing}, or set {field} to 0")
        if settings.ema and isinstance(student, Supernet) and student.kernels.layers:
            raise SpecError(
                "averaged weights (objective.ema) and elastic kernels do not go together; set ema to 0 or leave "
                "kernel= out of the space"
            )
        self._imitation, self.space = settings, space
        chosen = connectors if settings.channel and connectors is not None else ChannelConnectors({})
        self._student = FeatureStudent(student, chosen)
        self.add_player("student", self._student, settings.lr, settings.betas)
        self._average = Average(self._student.product) if settings.ema else None
        if (settings.style or settings.feature) and perceptual is not None:
            self.add_frozen("perceptual", perceptual)

    @property
    def generator(self) -> nn.Module:
        return self._student.network

    def update_student(self) -> None:
        """One step of its optimizer, and of the average of its weights."""
        self.update("student")
        if self._average:
            self._average.follow(self._student.product, 1 - self._imitation.ema)

    @property
    def left(self) -> nn.Module:
        """The student as the training leaves it."""
        return self._average.network if self._average else self._student.product

    def setup(self, device: torch.device, precision: Precision, world: World = ALONE) -> None:
        super().setup(device, precision, world)
        if self._average:
            self._average.network.to(device)

    @property
    def tapped(self) -> tuple[str, ...]:
        """Which activations of the teacher the student is compared with."""
        return tuple(self._student.adaptors.taps)

    def imitate(
        self, x: Float[Tensor, "batch in height width"], targets: Images, features: Features, rng: random.Random
    ) -> Losses:
        """The student's gradients from one batch; its update is left to the caller."""
        with torch.no_grad():
            wanted = {name: self._look(image) for name, image in targets.items()}
        subnets = visited(self.space, self._imitation.sampling, rng)
        rounds = []
        for widths in subnets:
            image, channels = self.networks["student"](x, features, widths)
            terms = self._image_terms(image, targets, wanted)
            if channels:
                terms["G_channel"] = self._imitation.channel * total(channels)
            # one after the other, so that several subnets need no more memory than one
            self.backward(total(terms) / len(subnets), "student", terms=terms)
            rounds.append(detached(**terms))
        return mean_losses(rounds)

    def _image_terms(
        self,
        image: Float[Tensor, "batch _ height width"],
        targets: Images,
        wanted: Mapping[str, Look | None],
    ) -> Losses:
        """The terms that the student's image alone decides."""
        s = self._imitation
        # once for each teacher, whose images it does not concern; a sum over the whole batch, of which this may
        # be a share, while gradients are averaged over all shares
        variation = self.world.size * total_variation(image)
        terms = {"G_tv": len(targets) * s.total_variation * variation}
        seen = self._look(image)
        for name, target in targets.items():
            terms[f"G_ssim_{name}"] = s.ssim * ssim_loss(image, target)
            if s.pixel:
                terms[f"G_pixel_{name}"] = s.pixel * pixel_loss(image, target, "l1")
            if seen and (theirs := wanted[name]):
                terms[f"G_style_{name}"] = s.style * style_distance(seen.styles, theirs.styles)
                terms[f"G_feature_{name}"] = s.feature * feature_loss(seen.feature, theirs.feature)
        return terms

    def _look(self, image: Float[Tensor, "batch _ height width"]) -> Look | None:
        """What the perceptual network, where there is one, sees in images."""
        if "perceptual" not in self.frozen:
            return None
        features = self.frozen["perceptual"](image)
        return Look(grams({stage: features[stage] for stage in _STYLE}), features[_FEATURE])

    def state_dict(self) -> dict[str, Any]:
        kept = {"average": self._average.state_dict()} if self._average else {}
        return {**super().state_dict(), **kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if self._average:
            self._average.load_state_dict(state["average"])
