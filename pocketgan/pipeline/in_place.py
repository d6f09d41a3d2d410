"""The training of a supernet, or of a subnet of one, by in-place distillation: no teacher beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from pocketgan.elastic.calibrate import calibrate, has_statistics
from pocketgan.models import load_model
from pocketgan.networks import Generator, GeneratorSpec, PatchSpec, initialise
from pocketgan.objectives.base import Objective
from pocketgan.objectives.in_place import InPlace, InPlaceSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycle
from pocketgan.pipeline.distil import StudentTraining
from pocketgan.pipeline.games import InPlaceGames
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.training import calibration_images

#: images for the statistics of the largest subnet
CALIBRATION = 64


class InPlaceTraining(StudentTraining):
    """A supernet learns from images and from its own largest subnet; a plain student from images alone.

    Leaves: `model/` and `discriminator/`; without pairs also `backward/` and `backward_discriminator/`.
    Fields:
        inherited: the stage whose other networks it plays with. Without it these are fresh: discriminators, and
            without pairs a generator for the way back, like the largest subnet.
    """

    kind: Literal["in-place"] = "in-place"
    inherited: Stage | None = None
    discriminator: PatchSpec = PatchSpec()
    objective: InPlaceGames = InPlaceSettings()

    @property
    def teacher(self) -> InPlaceTraining:
        """Itself: what it leaves is its largest subnet, which taught the others."""
        return self

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model", *self._others)

    @property
    def _others(self) -> tuple[str, ...]:
        """The networks that play beside the student."""
        if isinstance(self.objective, InPlaceSettings):
            return ("discriminator",)
        return ("discriminator", "backward", "backward_discriminator")

    @property
    def largest(self) -> GeneratorSpec:
        return self.spec()

    def notes(self) -> tuple[str, ...]:
        own = (
            " It is your generator, narrowed where the budget asks for it." if self.spec().kind == "traced" else ""
        )
        largest = f"What is called the teacher is the supernet's largest subnet: it learnt with the others.{own}"
        return (*super().notes(), *((largest,) if self.space else ()))

    def untrained(self) -> Objective:
        return self._fresh().build(None, {})

    def build(self, init: Generator | None, inherited: Mapping[str, Any]) -> InPlace | InPlaceCycle:
        """The game before its first step. `inherited`: the networks of the stage of that name."""
        student = self._student(init)

        def other(name: str, spec: Any, stream: str) -> Any:
            return inherited.get(name) or initialise(spec.build(), self._random(stream))

        discriminator = other("discriminator", self.discriminator, "discriminator")
        if isinstance(self.objective, InPlaceSettings):
            return InPlace(self.objective, student, discriminator, self.space)
        backward = other("backward", student.spec, "backward generator")
        judge = other("backward_discriminator", self.discriminator, "backward discriminator")
        return InPlaceCycle(self.objective, student, backward, discriminator, judge, self.space)

    def _finish(self, network: nn.Module, work: Workspace) -> None:
        """The statistics of a supernet's batch norms are a mixture over its subnets: the largest gets its own."""
        if self.space and has_statistics(network):
            calibrate(network, calibration_images(self, CALIBRATION, work))

    def run(self, work: Workspace) -> None:
        inherited: dict[str, Any] = {}
        if self.inherited:
            folder = work.inputs(self.inherited)
            inherited = {name: load_model(folder / name).network for name in self._others}
        self._fit(work, self.build(self._initial(work), inherited))
