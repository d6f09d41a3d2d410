"""Pocket, our own: a supernet that imitates its teacher while that learns on; a search finds the best subnet of a
budget, which may go on learning from the same teacher.
"""

from __future__ import annotations

from operator import le
from typing import Any

from pydantic import PositiveInt, model_validator

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.sampling import LevelSampling
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.networks import GeneratorSpec
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.stages import Extract, Front, Given, OnlineDistil, Search, Train
from pocketgan.recipes.online import OnlineRecipeSettings, finished
from pocketgan.recipes.recipe import Recipe
from pocketgan.search import AnyStrategy, Nsga2
from pocketgan.training.schedule import Schedule

#: in what Pocket's students differ from OMGD's: a term for pixels, a higher learning rate, subnets of every size
FASTER: dict[str, Any] = dict(pixel=50.0, lr=1e-3, sampling=LevelSampling())
#: and with pairs they learn from the real image too
POCKET = OnlineSettings(truth=True, **FASTER)


class PocketSettings(OnlineRecipeSettings):
    """Every number of Pocket. Without `tuning` the result is the subnet as the supernet has it.

    `warm_up`: with pairs, how long the wide teacher learns alone; the supernet then starts from its most important
    channels, and without it from scratch. It starts from those of a finished teacher too, unless that is dense or
    narrower. `space` names a published space or lists the options of every width, e.g. 32_24_16_8. `calibration`:
    on how many training images a candidate's batch norm is calibrated. `tuning`: for how long the chosen subnet
    goes on learning; with pairs its teachers do so too. `front`: of how many subnets on the front the latency is
    measured.
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
            if not is_cut(space.spec, warmed.generator.folded):
                raise SpecError(
                    f"the space {space.name} holds networks that are no narrower form of the teacher that warms "
                    "up; make that a mobile one as wide and as deep, or set warm_up to null"
                )
            start = dict(wide=None, deep=None, teachers=warmed, init=warmed, discriminator=self.discriminator)
        elif teacher and is_cut(space.spec, teacher.generator.folded):
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


def is_cut(spec: GeneratorSpec, whole: GeneratorSpec) -> bool:
    """Whether a network is another one with some of its channels, or all."""
    alike = type(spec) is type(whole) and len(spec.widths) == len(whole.widths)
    return alike and spec.resized(whole.widths) == whole and all(map(le, spec.widths, whole.widths))
