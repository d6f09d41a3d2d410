"""OMGD: a small generator that imitates teachers while they learn.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.elastic.cost import cost
from pocketgan.errors import BudgetError, SpecError
from pocketgan.networks import DeepResnetSpec, GeneratorSpec
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.recipe import Recipe, Roles
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.imitation import ImitationRecipeSettings, bursts_for, imitation_settings, widest
from pocketgan.recipes.method import Method, Wish
from pocketgan.recipes.settings import NamedGenerator
from pocketgan.units import si


class Omgd(ImitationRecipeSettings):
    """Every number of OMGD. Without `student` it is the widest within the budget of equal widths everywhere."""

    method: ClassVar[str] = "omgd"

    student: NamedGenerator | None = None

    def recipe(
        self,
        name: str,
        task: Task,
        budget: Budget,
        teacher: TeacherFile | None = None,
        unlabelled: Inputs | None = None,
    ) -> Recipe:
        self.check(task, teacher, unlabelled)
        if self.whole_train and isinstance(self.objective, BurstSettings) and teacher is None:
            raise SpecError(
                "without pairs the teacher is chosen on the selection split, and nothing may learn from that; set "
                "whole_train to false"
            )
        spec = self.student or widest(self.form(teacher), budget, task)
        self._check_student(spec, budget, task, teacher)
        # the score that counts is the student's own: no search has one
        student = self.training(task, teacher, unlabelled, student=spec, metric=self.metric, **self._splits)
        stages = (
            {"teacher": teacher, "student": student}
            if teacher
            else {"student": student, "teacher": student.teacher}
        )
        return Recipe(
            name=name,
            method=self.method,
            task=task,
            budget=budget,
            metric=self.metric,
            seed=self.seed,
            stages=stages,
            roles=Roles(result="student"),
        )

    def _check_student(self, spec: GeneratorSpec, budget: Budget, task: Task, teacher: TeacherFile | None) -> None:
        spec.check_size(*task.size)
        if (spec.in_channels, spec.out_channels) != (task.in_channels, task.out_channels):
            raise SpecError(
                f"here a student makes {task.out_channels} channels of {task.in_channels}; leave its channels as "
                "they are"
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


#: the widest that a teacher may be, and the training images: those of the training with pairs, and those that the
#: teachers see without
EFFORTS: dict[str, dict[str, Any]] = {
    "quick": dict(student=32, teacher=48, discriminator=64, paired_images=15_000, unpaired_images=4_000),
    "standard": dict(student=48, teacher=64, discriminator=64, paired_images=300_000, unpaired_images=60_000),
    # cityscapes' students see 2.2 million images, horse2zebra's teachers 240 thousand
    "paper": dict(student=64, teacher=96, discriminator=128, paired_images=2_000_000, unpaired_images=240_000),
}


def settings(wish: Wish) -> Omgd:
    """As published, a wide teacher has four times the student's width, and the deep one a quarter of that."""
    paired = wish.task.paired
    shared = imitation_settings(wish, **EFFORTS[wish.effort])
    deep = DeepResnetSpec.uniform(max(1, max(shared["wide"].widths) // 4)) if paired else None
    return Omgd(**shared, deep=deep, objective=OnlineSettings() if paired else bursts_for(shared["schedule"]))


METHOD = Method(
    name="omgd",
    about="a student imitates a wide and a deep teacher while they learn",
    settings=settings,
    games=("pix2pix", "cyclegan"),
    unlabelled=True,
    inherits=False,
)
