"""The guard of a run: a network like the compressed one that learns from images alone."""

from __future__ import annotations

from typing import Literal

from pocketgan.models import load_model
from pocketgan.networks import DiscriminatorSpec, GeneratorSpec, PatchSpec
from pocketgan.objectives.base import Objective
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.games import Teaching
from pocketgan.pipeline.stage import Network, Workspace
from pocketgan.pipeline.training import Train, Training


class FromScratch(Training):
    """A fresh network like that of another stage learns from images alone.

    Leaves: what `Train` does.
    Fields:
        like: the stage whose network it is like; what that is, is known when that stage has run.
    """

    kind: Literal["from-scratch"] = "from-scratch"
    like: Network
    discriminator: DiscriminatorSpec = PatchSpec()
    objective: Teaching = Pix2PixSettings()

    @property
    def leaves(self) -> tuple[str, ...]:
        return self._training(self.like.spec()).leaves

    def spec(self, name: str = "model") -> GeneratorSpec:
        return self.like.spec()

    @property
    def largest(self) -> GeneratorSpec:
        return self.like.spec()

    def untrained(self) -> Objective:
        return self._training(self.like.spec()).untrained()

    def run(self, work: Workspace) -> None:
        self._fit(work, self._training(load_model(work.inputs(self.like) / "model").spec).build())

    def _training(self, generator: GeneratorSpec) -> Train:
        """The same as the training of a teacher."""
        fields = {name: getattr(self, name) for name in Train.model_fields if name not in ("kind", "generator")}
        return Train(generator=generator, **fields)
