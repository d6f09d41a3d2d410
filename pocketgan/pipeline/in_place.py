"""The training of a supernet, or of a subnet of one, by in-place distillation: no teacher beside it."""

from __future__ import annotations

from typing import Literal

from pocketgan.models import load_model
from pocketgan.networks import Generator, GeneratorSpec, PatchSpec, initialise
from pocketgan.networks.discriminators import PatchDiscriminator
from pocketgan.objectives.base import Objective
from pocketgan.objectives.in_place import InPlace, InPlaceSettings
from pocketgan.pipeline.distil import StudentTraining
from pocketgan.pipeline.stage import Stage, Workspace


class InPlaceTraining(StudentTraining):
    """A supernet learns from pairs and from its own largest subnet; a plain student from pairs alone.

    Leaves: `model/` and `discriminator/`.
    Fields:
        inherited: the stage whose discriminator it plays against; without it a fresh `discriminator`.
    """

    kind: Literal["in-place"] = "in-place"
    inherited: Stage | None = None
    discriminator: PatchSpec = PatchSpec()
    objective: InPlaceSettings = InPlaceSettings()

    @property
    def teacher(self) -> InPlaceTraining:
        """Itself: what it leaves is its largest subnet, which taught the others."""
        return self

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model", "discriminator")

    @property
    def largest(self) -> GeneratorSpec:
        return self.spec()

    def untrained(self) -> Objective:
        return self._fresh().build(None, None)

    def build(self, init: Generator | None, inherited: PatchDiscriminator | None) -> InPlace:
        """The game before its first step."""
        discriminator = inherited or initialise(self.discriminator.build(), self._random("discriminator"))
        return InPlace(self.objective, self._student(init), discriminator, self.space)

    def run(self, work: Workspace) -> None:
        inherited = load_model(work.inputs(self.inherited) / "discriminator").network if self.inherited else None
        assert inherited is None or isinstance(inherited, PatchDiscriminator), "what a stage of this kind leaves"
        self._fit(work, self.build(self._initial(work), inherited))
