"""What OMGD and Pocket share: a student that imitates teachers while they learn.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import NonNegativeInt, model_validator

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.errors import BudgetError, SpecError
from pocketgan.networks import GeneratorSpec, PatchSpec, ResnetSpec, SharedPatchSpec, write_numbers
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.imitation import ImitationSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.games import Imitating, Teaching
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.checks import (
    check_counts,
    check_direction,
    check_metric,
    check_players,
    check_resolutions,
)
from pocketgan.recipes.method import Wish
from pocketgan.recipes.settings import NamedGenerator, RecipeSettings
from pocketgan.training.schedule import Schedule
from pocketgan.units import si


class ImitationRecipeSettings(RecipeSettings):
    """The numbers that both methods share.

    Attributes:
        wide, deep: the teachers; without pairs there is a wide one alone.
        discriminator: judges them; of two, each has a head of its own behind the first `shared` convolutions.
        objective: with pairs `OnlineSettings`, without `BurstSettings`.
        schedule: counts the teachers' epochs.
    """

    why_off: ClassVar[dict[str, str]] = {
        "deep": "without pairs there is one teacher, the wide one",
        "student": "the widest student within the budget is taken",
        "tuning": "this method does no fine-tuning here",
    }

    wide: NamedGenerator | None
    deep: NamedGenerator | None = None
    discriminator: PatchSpec = PatchSpec()
    shared: NonNegativeInt = 5
    objective: Imitating
    schedule: Schedule

    @model_validator(mode="after")
    def _taught(self) -> ImitationRecipeSettings:
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

    @property
    def alone(self) -> Teaching:
        return self.objective.teaching

    def check(self, task: Task, teacher: TeacherFile | None, unlabelled: Inputs | None) -> None:
        """Raise `DataError` or `SpecError` unless all belong together."""
        bursts = isinstance(self.objective, BurstSettings)
        # elsewhere the discriminator sees no images but whole ones, or none at all
        discriminator = None if teacher or bursts else self._discriminator
        for form in (teacher.generator,) if teacher else (self.wide, self.deep):
            if form:
                check_players(task, form, self._discriminator, self.objective.teaching)
                check_resolutions(task, self.objective.sampling, form, discriminator)
        check_counts(task)
        check_metric(task, self.metric, teachers=bursts and teacher is None)
        if teacher:
            check_direction(task.direction, teacher)
        elif self.objective.n_dis == 0:
            raise SpecError("objective.n_dis=0 is for finished teachers; set it to 1 or more, or give a --teacher")
        elif unlabelled and isinstance(self.objective, OnlineSettings) and self.objective.n_dis == 1:
            raise SpecError(
                "inputs without a partner are for steps at which the teachers do not learn, and with "
                "objective.n_dis=1 there are none; set it to 2 or more, or leave out --unlabelled"
            )

    def form(self, teacher: TeacherFile | None) -> GeneratorSpec:
        """What the student is but for its widths: as small as the papers make that of this teacher."""
        form = teacher.generator if teacher else self.wide
        if form is None:
            own = "student" if "student" in type(self).model_fields else "wide"
            raise SpecError(
                f"without a wide teacher nothing says what the student is; name one with --set {own}=..."
            )
        return form.mobile

    def training(
        self, task: Task, teacher: TeacherFile | None, unlabelled: Inputs | None, **student: Any
    ) -> OnlineDistil:
        """The training of a student, with fresh teachers or by a finished one. `student`: further fields."""
        if teacher:
            taught: dict[str, Any] = dict(
                teachers=teacher, objective=of_finished_teachers(self.objective), schedule=self._student_schedule
            )
        else:
            taught = dict(wide=self.wide, deep=self.deep, objective=self.objective, schedule=self.schedule)
        return OnlineDistil(**{**self._everywhere(task, unlabelled), **taught, **student})

    def _everywhere(self, task: Task, unlabelled: Inputs | None) -> dict[str, Any]:
        """The fields that all trainings have in common."""
        return dict(
            task=task,
            discriminator=self._discriminator,
            feature_network=self.features_of(self.objective),
            unlabelled=unlabelled,
            seed=self.seed,
            precision=self.precision,
        )

    @property
    def _discriminator(self) -> PatchSpec | SharedPatchSpec:
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


def of_finished_teachers(objective: Imitating) -> OnlineSettings:
    """The same imitation of teachers that learn no more."""
    imitation = {name: getattr(objective, name) for name in ImitationSettings.model_fields}
    truth = isinstance(objective, OnlineSettings) and objective.truth
    return OnlineSettings(**imitation, n_dis=0, truth=truth)


def widest(form: GeneratorSpec, budget: Budget, task: Task) -> GeneratorSpec:
    """The form within the budget at the largest share of all its widths, at most its own; of equal widths, at the
    largest of equal ones. `BudgetError` if none fits."""
    form.check_size(*task.size)
    most = max(form.widths)
    # step n of `most`: of equal widths n channels each
    options = -(-np.arange(1, most + 1)[:, None] * np.array(form.widths) // most)
    costs = CostModel(form, *task.size)(options)
    (fitting,) = budget.arithmetic.admits(costs).nonzero()
    if not len(fitting):
        least = costs.at(0)
        over = next(name for name, bound in budget.bounds.items() if least[name] > bound)
        smallest = (
            "your generator at its narrowest"
            if form.kind == "traced"
            else f"the smallest {form.kind}, of one channel"
        )
        raise BudgetError(f"budget {budget} is below {smallest} ({si(least[over])} {UNITS[over]}); raise it")
    return form.resized(tuple(options[fitting[-1]].tolist()))


def imitation_settings(
    wish: Wish, *, student: int, teacher: int, discriminator: int, paired_images: int, unpaired_images: int
) -> dict[str, Any]:
    """What both methods have at an effort, as arguments of their settings: the wide teacher is four times as wide
    as the student, as published.

    Args:
        student: the width of the student where there is no budget that it follows from.
        teacher: the largest width of a teacher.
        paired_images, unpaired_images: the training images of the training with pairs, and those that the teachers
            see without.
    """
    paired = wish.game.name == "pix2pix"
    width = student_width(wish, teacher) or student
    return dict(
        wide=ResnetSpec.uniform(min(4 * width, teacher)).mobile,
        discriminator=PatchSpec(in_channels=6 if paired else 3, width=discriminator),
        schedule=wish.game.schedule(paired_images if paired else unpaired_images, wish.task),
    )


def student_width(wish: Wish, largest: int, **form: Any) -> int | None:
    """The width of the widest student within the budget, at most `largest`; None without a budget that arithmetic
    decides. `form`: other fields of the student than usual."""
    if wish.budget is None or not wish.budget.bounds:
        return None
    channels = dict(in_channels=wish.task.in_channels, out_channels=wish.task.out_channels)
    student = ResnetSpec.uniform(largest, **channels, **form).mobile
    return max(widest(student, wish.budget, wish.task).widths)


def usual_space(wish: Wish, width: int) -> str:
    """Options down to half a width, a third of the MACs or so: where both ends are near, both get good. Down to a
    quarter where the width does not follow from the budget."""
    options = (width, -(-3 * width // 4), -(-width // 2))
    bounded = wish.budget is None or wish.budget.bounds
    return write_numbers(tuple(dict.fromkeys(options if bounded else (*options, -(-width // 4)))))


def bursts_for(schedule: Schedule) -> BurstSettings:
    """The game without pairs, in which the student has ten turns or more."""
    return BurstSettings(every=max(1, min(10, schedule.epochs // 10)))
