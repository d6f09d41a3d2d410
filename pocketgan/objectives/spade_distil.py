"""Distillation of SPADE: a student learns as its teacher did, and from its teacher's features.

L_G = the image terms of `spade.py` + distil * sum over taps of MSE(adaptor(S_tap), T_tap), then, with the images
made again by the updated student: L_D = fake + real. The image is compared with the real one, never with the
teacher's. For a supernet both turns of a step visit the same subnets, and both losses are means over them.

Source: GAN Compression, CVPR 2020; the order of updates is the official code's.
"""

from __future__ import annotations

import random
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.sampling import AnySampling, UniformSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.losses.distillation import Adaptors
from pocketgan.objectives.base import Losses, detached, mean_losses, total
from pocketgan.objectives.spade import SpadeGame, SpadeTerms
from pocketgan.objectives.student import FeatureStudent, StudentGame, activations, at_resolution, visited


class SpadeDistilSettings(SpadeTerms):
    """Weights of the terms, Adam's numbers, and which subnets of a supernet a step visits."""

    kind: Literal["spade-distil"] = "spade-distil"
    distil: NonNegativeFloat = 10.0
    sampling: AnySampling = UniformSampling()


class SpadeDistiller(StudentGame, SpadeGame):
    """`student`: a plain network, or a supernet together with the `space` that its subnets are drawn from."""

    def __init__(
        self,
        settings: SpadeDistilSettings,
        teacher: nn.Module,
        student: nn.Module,
        adaptors: Adaptors,
        discriminator: nn.Module,
        space: SearchSpace | None = None,
        perceptual: nn.Module | None = None,
    ) -> None:
        super().__init__(settings, discriminator, perceptual)
        self.settings, self.space = settings, space
        self.add_frozen("teacher", teacher)
        self._student = FeatureStudent(student, adaptors)
        self.add_player("student", self._student, settings.lr / 2, settings.betas)

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        student = self.networks["student"]
        batch = at_resolution(batch, self.settings.sampling, rng, labels=True)
        teacher_features = activations(self.frozen["teacher"], batch.x, tuple(self.adaptors.taps))
        real_features = self.real_features(batch)
        subnets = visited(self.space, self.settings.sampling, rng)

        # one subnet after the other, so that several need no more memory than one
        rounds = []
        for subnet in subnets:
            fake, features = student(batch.x, teacher_features, subnet)
            terms = self.image_terms(batch, fake, real_features)
            terms["G_distil"] = self.settings.distil * total(features)
            self.backward(total(terms) / len(subnets), "student", terms=terms)
            rounds.append(detached(**terms))
        self.update("student")

        turns = []
        for subnet in subnets:
            with torch.no_grad():
                fake, _ = student(batch.x, teacher_features, subnet)
            terms = self.discriminator_terms(batch, fake)
            self.backward(total(terms) / len(subnets), "discriminator", terms=terms)
            turns.append(detached(**terms))
        self.update("discriminator")
        return {**mean_losses(turns), **mean_losses(rounds)}
