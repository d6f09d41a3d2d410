"""OMGD: a small generator that imitates teachers while they learn.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021.
"""

from __future__ import annotations

from pydantic import field_validator

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.elastic.cost import cost
from pocketgan.errors import BudgetError, SpecError
from pocketgan.networks import GeneratorSpec
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.pipeline.stages import Given
from pocketgan.recipes.compression import by_name
from pocketgan.recipes.online import OnlineRecipeSettings, widest
from pocketgan.recipes.recipe import Recipe
from pocketgan.units import si


class OmgdSettings(OnlineRecipeSettings):
    """Every number of OMGD. Without `student` it is the widest within the budget of equal widths everywhere."""

    student: GeneratorSpec | None = None

    _student_by_name = field_validator("student", mode="before")(by_name)

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
        if self.whole_train and isinstance(self.objective, BurstSettings) and teacher is None:
            raise SpecError(
                "without pairs the teacher is chosen on the selection split, and nothing may learn from that; set "
                "whole_train to false"
            )
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
