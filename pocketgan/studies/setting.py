"""What all contestants of a study share: data, seed, networks' sizes, and how long each may train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt

from pocketgan.data.batches import steps_per_epoch
from pocketgan.data.task import Task
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycleSettings
from pocketgan.objectives.precision import Precision
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.games import Distilling, InPlaceGames, Teaching
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.training import Train, Training
from pocketgan.recipes.channels import spec_with_channels
from pocketgan.recipes.games import Parts, game_for
from pocketgan.studies.pace import Pace
from pocketgan.training.schedule import Schedule

Kind = TypeVar("Kind", bound=Training)


class Setting(BaseModel):
    """One study on one set of data, for one seed. The data are pairs of images, or two sets without pairs.

    `seconds`: processor time of one contestant, its teachers and its search included. `pace`: processor seconds of
    one step, by the name of the kind of training; what is missing is measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    task: Task
    seed: int = 0
    seconds: PositiveFloat
    pace: Annotated[Pace, BeforeValidator(lambda value: Pace(value) if isinstance(value, Mapping) else value)] = (
        Field(default_factory=Pace, exclude=True)
    )
    teacher_width: PositiveInt = 32
    discriminator_width: PositiveInt = 32
    batch_size: PositiveInt = 4
    precision: Precision = "fp32"

    @property
    def _parts(self) -> Parts:
        return game_for(self.task).parts(self.teacher_width, self.discriminator_width)

    @property
    def dense(self) -> Any:
        """The teacher with ordinary convolutions; `dense.mobile` has decomposed residual blocks."""
        return spec_with_channels(self._parts.teacher, self.task)

    @property
    def discriminator(self) -> Any:
        return spec_with_channels(self._parts.discriminator, self.task)

    @property
    def teaching(self) -> Teaching:
        """The game that trains a network from images alone."""
        return self._parts.objective

    @property
    def distilling(self) -> Distilling:
        """The game that trains a student of a teacher."""
        return self._parts.distillation

    @property
    def in_place(self) -> InPlaceGames:
        """The game of in-place distillation."""
        return InPlaceSettings() if self.task.paired else InPlaceCycleSettings()

    def training(self, kind: type[Kind], share: float, pace: str, **fields: Any) -> Kind:
        """A training that fits into a share of the time, the second half of it with a falling learning rate.

        Trainings that share the name `pace` get as many epochs in the same time. `fields` are the stage's own; the
        setting gives data, seed, precision and discriminator, and to those of `games` their game.
        """
        games = {Train: self.teaching, Distil: self.distilling, InPlaceTraining: self.in_place}
        own = {"objective": games[kind]} if kind in games else {}
        every = dict(task=self.task, seed=self.seed, precision=self.precision, discriminator=self.discriminator)
        fields = {**every, **own, **fields}
        stage = kind(schedule=Schedule(constant=1, batch_size=self.batch_size), **fields)
        steps = steps_per_epoch(self.task.epoch(stage.splits), self.batch_size)
        epochs = max(2, round(share * self.seconds / (self.pace(pace, stage) * steps)))
        schedule = Schedule(constant=epochs - epochs // 2, decay=epochs // 2, batch_size=self.batch_size)
        return kind(schedule=schedule, **fields)
