"""OMGD and Pocket: a small generator that imitates teachers while they learn.

OMGD trains one student. Pocket, our own, trains a supernet in its place, in which a search then finds the best
subnet of a budget; that may go on learning from the same teachers.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, field_validator, model_validator

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.elastic.cost import CostModel, cost
from pocketgan.elastic.sampling import LevelSampling
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import BudgetError, SpecError, unknown
from pocketgan.metrics import METRICS
from pocketgan.metrics.catalog import FRECHET
from pocketgan.networks import GeneratorSpec, PatchSpec, SharedPatchSpec, parse_spec
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.imitation import ImitationSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.games import Imitating, Sight, needs_sight
from pocketgan.pipeline.stages import Extract, Front, Given, OnlineDistil, Search, Train
from pocketgan.recipes.compression import Settings
from pocketgan.recipes.families import check_counts, check_direction, check_metric, check_players
from pocketgan.recipes.recipe import Recipe
from pocketgan.search import AnyStrategy, Nsga2
from pocketgan.training.fit import Precision
from pocketgan.training.schedule import Schedule
from pocketgan.units import si

#: in what Pocket's students differ from OMGD's: a term for pixels, a higher learning rate, subnets of every size
FASTER: dict[str, Any] = dict(pixel=50.0, lr=1e-3, sampling=LevelSampling())
#: and with pairs they learn from the real image too
POCKET = OnlineSettings(truth=True, **FASTER)


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
    metric: str = FRECHET
    sight: Sight = Sight()
    precision: Precision = "32-true"
    seed: int = 233

    @field_validator("wide", "deep", mode="before")
    @classmethod
    def _teacher_by_name(cls, value: Any) -> Any:
        """A network may be given as a spec string, e.g. unet:48."""
        return parse_spec(value) if isinstance(value, str) else value

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRICS:
            raise unknown("metric", value, METRICS)
        return value

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
        for form in (teacher.generator,) if teacher else (self.wide, self.deep):
            if form:
                check_players(task, form, self._judge, self.objective.teaching)
        check_counts(task)
        check_metric(task, self.metric)
        if isinstance(self.objective, BurstSettings) and "teacher" in METRICS[self.metric].needs:
            raise SpecError(f"{self.metric} cannot choose among teachers; set metric to {FRECHET}")
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
            raise SpecError(
                "without a wide teacher nothing says what the student is; name it with --set student=..."
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


class OmgdSettings(OnlineRecipeSettings):
    """Every number of OMGD. Without `student` it is the widest within the budget of equal widths everywhere."""

    student: GeneratorSpec | None = None

    @field_validator("student", mode="before")
    @classmethod
    def _student_by_name(cls, value: Any) -> Any:
        return parse_spec(value) if isinstance(value, str) else value

    @property
    def method(self) -> str:
        return "omgd"

    def recipe(
        self, name: str, task: Task, budget: Budget, teacher: Given | None = None, unlabelled: Inputs | None = None
    ) -> Recipe:
        """The recipe. `teacher`: a finished one, imitated as it is in the place of the fresh ones.

        Raises:
            DataError: the method needs other data, or more of them.
            SpecError: networks, games and images do not belong together.
            BudgetError: the student is over the budget.
        """
        self.check(task, teacher, unlabelled)
        spec = self.student or widest(self.form(teacher), budget, task)
        self._check_student(spec, budget, task, teacher)
        # the score that counts is the student's own: no search has one
        student = self.training(task, teacher, unlabelled, student=spec, metric=self.metric, **self._whole)
        return Recipe(
            name=name,
            method=self.method,
            task=task,
            budget=budget,
            teacher=teacher or student.teacher,
            student=student,
        )

    def _check_student(self, spec: GeneratorSpec, budget: Budget, task: Task, teacher: Given | None) -> None:
        spec.check_size(*task.size)
        if (spec.in_channels, spec.out_channels) != (task.in_channels, 3):
            raise SpecError(
                f"here a student makes 3 channels of {task.in_channels}; leave its channels as they are"
            )
        costs = cost(spec, *task.size)
        for what, bound in budget.bounds.items():
            if costs[what] > bound:
                raise BudgetError(
                    f"the student costs {si(costs[what])} {UNITS[what]} and the budget is {budget}; raise it, or "
                    "add --set student=null for the widest student within it"
                )
        wide = teacher.generator if teacher else self.wide
        if wide and self.objective.channel and not set(spec.taps) <= set(wide.taps):
            raise SpecError(
                f"channel distillation compares a {wide.kind} teacher with students of its family, and this one is "
                f"a {spec.kind}; choose another student, or set objective.channel to 0"
            )


class PocketSettings(OnlineRecipeSettings):
    """Every number of Pocket. Without `tuning` the result is the subnet as the supernet has it.

    `warm_up`: with pairs, how long the wide teacher learns alone; the supernet then starts from its most important
    channels, and without it from scratch. `space` names a published space or lists the options of every width, e.g.
    32_24_16_8. `calibration`: on how many training images a candidate's batch norm is calibrated. `tuning`: for how
    long the chosen subnet goes on learning; with pairs its teachers do so too. `front`: of how many subnets on the
    front the latency is measured.
    """

    warm_up: Schedule | None = None
    space: str
    search: AnyStrategy = Nsga2()
    calibration: PositiveInt = 64
    tuning: Schedule | None = None
    front: PositiveInt | None = 16

    @model_validator(mode="after")
    def _warmed_alone(self) -> PocketSettings:
        if self.warm_up and (self.wide is None or self.deep or isinstance(self.objective, BurstSettings)):
            raise ValueError("a warm-up is for a wide teacher alone, with pairs; set warm_up to null")
        return self

    @property
    def method(self) -> str:
        return "pocket"

    def recipe(
        self, name: str, task: Task, budget: Budget, teacher: Given | None = None, unlabelled: Inputs | None = None
    ) -> Recipe:
        """The recipe. `teacher`: a finished one, imitated as it is in the place of the fresh ones.

        Raises:
            DataError: the method needs other data, or more of them.
            SpecError: networks, games and images do not belong together; an unknown space.
            BudgetError: the smallest subnet is over the budget.
        """
        self.check(task, teacher, unlabelled)
        space = space_named(self.space, self.form(teacher))
        budget.check(space, CostModel(space.spec, *task.size))
        # without pairs it chooses the teacher too
        chosen = dict(metric=self.metric) if isinstance(self.objective, BurstSettings) else {}
        warmed = self._warmed(task) if self.warm_up and teacher is None else None
        start: dict[str, Any] = {}
        if warmed:
            start = dict(wide=None, deep=None, teachers=warmed, init=warmed, discriminator=self.discriminator)
        elif teacher and teacher.generator.mobile == teacher.generator.folded:
            start = dict(init=teacher)
        supernet = self.training(task, teacher, unlabelled, space=space, **chosen, **start)
        search = Search(
            supernet=supernet,
            budget=budget,
            strategy=self.search,
            metric=self.metric,
            calibration=self.calibration,
            seed=self.seed,
        )
        subnet = Extract(search=search)
        tuned = None
        if self.tuning:
            learning = isinstance(self.objective, OnlineSettings) and teacher is None
            tuned = OnlineDistil(
                **self._everywhere(task, unlabelled),
                **self._whole,
                init=subnet,
                teachers=supernet,
                objective=self.objective if learning else finished(self.objective),
                schedule=self.tuning,
            )
        return Recipe(
            name=name,
            method=self.method,
            task=task,
            budget=budget,
            teacher=teacher or supernet.teacher,
            warmed=warmed,
            supernet=supernet,
            search=search,
            subnet=subnet,
            tuned=tuned,
            front=Front(search=search, points=self.front) if self.front else None,
        )

    def _warmed(self, task: Task) -> Train:
        assert self.wide is not None, "checked at construction"
        assert self.warm_up is not None, "checked by the caller"
        return Train(
            generator=self.wide,
            discriminator=self.discriminator,
            objective=self.objective.teaching,
            schedule=self.warm_up,
            task=task,
            seed=self.seed,
            precision=self.precision,
        )


#: the settings of any method
AnySettings = Settings | OmgdSettings | PocketSettings


def finished(objective: Imitating) -> OnlineSettings:
    """The same imitation of teachers that learn no more."""
    imitation = {name: getattr(objective, name) for name in ImitationSettings.model_fields}
    return OnlineSettings(**imitation, n_dis=0)


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
