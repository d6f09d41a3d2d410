"""What makes the norms of a finished network foldable: settings, and the recipe of them."""

from __future__ import annotations

from typing import ClassVar

from pocketgan.data.batches import steps_per_epoch
from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.networks.layers import Padding
from pocketgan.objectives.fixed_norms import FixedNormsSettings
from pocketgan.pipeline.fixed_norms import FixNorms, fixed
from pocketgan.pipeline.recipe import Recipe, Roles
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.checks import check_counts, check_direction
from pocketgan.recipes.settings import RecipeSettings
from pocketgan.training.schedule import Schedule


class FoldSettings(RecipeSettings):
    """Every number of it.

    Attributes:
        padding: how residual blocks pad from now on, as zero, which is quicker; default as they did.
    """

    method: ClassVar[str] = "fold"

    objective: FixedNormsSettings = FixedNormsSettings()
    schedule: Schedule
    padding: Padding | None = None

    @property
    def games(self) -> tuple[()]:
        return ()

    def recipe(
        self,
        name: str,
        task: Task,
        budget: Budget,
        teacher: TeacherFile | None = None,
        unlabelled: Inputs | None = None,
    ) -> Recipe:
        assert teacher is not None, "it is the network itself"
        spec = teacher.generator
        fixed(spec, self.padding)
        spec.check_size(*task.size)
        check_direction(task.direction, teacher)
        check_counts(task)
        tuned = FixNorms(
            task=task,
            teacher=teacher,
            objective=self.objective,
            schedule=self.schedule,
            padding=self.padding,
            seed=self.seed,
            precision=self.precision,
            **self._splits,
        )
        return Recipe(
            name=name,
            method=self.method,
            task=task,
            budget=budget,
            metric=self.metric,
            seed=self.seed,
            stages={"teacher": teacher, "tuning": tuned},
            roles=Roles(result="tuning"),
        )


def schedule_for(images: int, there: int, batch_size: int = 4) -> Schedule:
    """Whole epochs of at least so many images, of those that are `there`; the second half at a falling rate."""
    epochs = -(-images // (steps_per_epoch(there, batch_size) * batch_size))
    return Schedule(constant=-(-epochs // 2), decay=epochs // 2, batch_size=batch_size)
