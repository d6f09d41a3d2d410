"""What the recipes of online distillation share: OMGD's (omgd.py) and Pocket's (pocket.py).

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, field_validator, model_validator

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.errors import BudgetError, SpecError
from pocketgan.metrics.catalog import FRECHET
from pocketgan.networks import GeneratorSpec, PatchSpec, SharedPatchSpec
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.imitation import ImitationSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.objectives.precision import Precision
from pocketgan.pipeline.games import Imitating, Sight, needs_sight
from pocketgan.pipeline.stages import Given, OnlineDistil
from pocketgan.recipes.compression import KnownMetric, by_name
from pocketgan.recipes.families import (
    check_counts,
    check_direction,
    check_metric,
    check_players,
    check_resolutions,
)
from pocketgan.training.schedule import Schedule
from pocketgan.units import si


class OnlineRecipeSettings(BaseModel):
    """What OMGD and Pocket share.

    `wide`, `deep`: the teachers; without pairs there is a wide one alone. `discriminator` judges them; of two, each
    has a head of its own behind the first `shared` convolutions. `objective`: with pairs `OnlineSettings`, without
    `BurstSettings`. `schedule` counts the teachers' epochs. `whole_train`: all but what is searched learns from the
    selection split too, as in the paper. `sight`: what the perceptual terms look through. `metric`: the score that
    counts; where there is something to choose (subnets, teachers without pairs), it chooses.
    """

    # a space of one width reads as a number on the command line
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    wide: GeneratorSpec | None
    deep: GeneratorSpec | None = None
    discriminator: PatchSpec = PatchSpec()
    shared: NonNegativeInt = 5
    objective: Imitating
    schedule: Schedule
    whole_train: bool = False
    metric: KnownMetric = FRECHET
    sight: Sight = Sight()
    precision: Precision = "fp32"
    seed: int = 233

    _teacher_by_name = field_validator("wide", "deep", mode="before")(by_name)

    @model_validator(mode="after")
    def _taught(self) -> OnlineRecipeSettings:
        if self.wide is None and self.deep is None:
            raise ValueError("a student needs a teacher, and there is neither a wide nor a deep one")
        if self.wide is None and self.objective.channel:
            raise ValueError("channel distillation needs a wide teacher; set objective.channel to 0 without one")
        if isinstance(self.objective, BurstSettings) and (self.wide is None or self.deep):
            raise ValueError("without pairs there is one teacher, a wide one")
        if self.shared > self.discriminator.layers + 2:
            raise ValueError(
                f"a discriminator of {self.discriminator.layers} layers has fewer convolutions to share"
            )
        return self

    @property
    def games(self) -> tuple[Imitating, ...]:
        """The settings of the games that are played."""
        return (self.objective,)

    def check(self, task: Task, teacher: Given | None, unlabelled: Inputs | None) -> None:
        """Raise `DataError` or `SpecError` unless all belong together."""
        bursts = isinstance(self.objective, BurstSettings)
        # elsewhere the discriminator sees no images but whole ones, or none at all
        judge = None if teacher or bursts else self._judge
        for form in (teacher.generator,) if teacher else (self.wide, self.deep):
            if form:
                check_players(task, form, self._judge, self.objective.teaching)
                check_resolutions(task, self.objective.sampling, form, judge)
        check_counts(task)
        check_metric(task, self.metric, teachers=bursts and teacher is None)
        if teacher:
            check_direction(task, teacher)
        elif self.objective.n_dis == 0:
            raise SpecError("objective.n_dis=0 is for finished teachers; set it to 1 or more, or give a --teacher")
        elif unlabelled and isinstance(self.objective, OnlineSettings) and self.objective.n_dis == 1:
            raise SpecError(
                "inputs without a partner are for steps at which the teachers do not learn, and with "
                "objective.n_dis=1 there are none; set it to 2 or more, or leave out --unlabelled"
            )

    def form(self, teacher: Given | None) -> GeneratorSpec:
        """What the student is but for its widths: as small as the papers make that of this teacher."""
        form = teacher.generator if teacher else self.wide
        if form is None:
            own = "student" if "student" in type(self).model_fields else "wide"
            raise SpecError(
                f"without a wide teacher nothing says what the student is; name one with --set {own}=..."
            )
        return form.mobile

    def training(
        self, task: Task, teacher: Given | None, unlabelled: Inputs | None, **student: Any
    ) -> OnlineDistil:
        """The training of a student, with fresh teachers or by a finished one. `student`: further fields."""
        if teacher:
            taught: dict[str, Any] = dict(
                teachers=teacher, objective=finished(self.objective), schedule=self._student_schedule
            )
        else:
            taught = dict(wide=self.wide, deep=self.deep, objective=self.objective, schedule=self.schedule)
        return OnlineDistil(**{**self._everywhere(task, unlabelled), **taught, **student})

    def _everywhere(self, task: Task, unlabelled: Inputs | None) -> dict[str, Any]:
        """The fields that all trainings have in common."""
        return dict(
            task=task,
            discriminator=self._judge,
            sight=self.sight if needs_sight(self.objective) else None,
            unlabelled=unlabelled,
            seed=self.seed,
            precision=self.precision,
        )

    @property
    def _whole(self) -> dict[str, Any]:
        return dict(splits=("train", "select")) if self.whole_train else {}

    @property
    def _judge(self) -> PatchSpec | SharedPatchSpec:
        if not (self.wide and self.deep):
            return self.discriminator
        alike = self.discriminator.model_dump(exclude={"kind"})
        return SharedPatchSpec(**alike, heads=2, shared=self.shared)

    @property
    def _student_schedule(self) -> Schedule:
        """As long as the student learns where the teachers are fresh."""
        if isinstance(self.objective, OnlineSettings):
            return self.schedule
        times, own = self.objective.n_dis, self.schedule
        return own.model_copy(update={"constant": times * own.constant, "decay": times * own.decay})


def finished(objective: Imitating) -> OnlineSettings:
    """The same imitation of teachers that learn no more."""
    imitation = {name: getattr(objective, name) for name in ImitationSettings.model_fields}
    truth = isinstance(objective, OnlineSettings) and objective.truth
    return OnlineSettings(**imitation, n_dis=0, truth=truth)


def widest(form: GeneratorSpec, budget: Budget, task: Task) -> GeneratorSpec:
    """The form at the largest of equal widths within the budget, at most its own; `BudgetError` if none fits."""
    form.check_size(*task.size)
    options = np.arange(1, max(form.widths) + 1)
    costs = CostModel(form, *task.size)(np.repeat(options[:, None], len(form.widths), 1))
    fitting = options[budget.admits(costs)]
    if not len(fitting):
        least = costs.at(0)
        over = next(name for name, bound in budget.bounds.items() if least[name] > bound)
        raise BudgetError(
            f"budget {budget} is below the smallest {form.kind}, of one channel ({si(least[over])} {UNITS[over]}); "
            "raise it"
        )
    return form.resized((int(fitting[-1]),) * len(form.widths))
