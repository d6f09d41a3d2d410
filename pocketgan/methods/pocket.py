"""Pocket, our own: a supernet that imitates its teacher while that learns on; a search finds the best subnet of a
budget, which may go on learning from the same teacher.
"""

from __future__ import annotations

from operator import le
from typing import Any, ClassVar

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
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.recipe import Recipe, Roles
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.pipeline.training import Train
from pocketgan.recipes.imitation import (
    ImitationRecipeSettings,
    bursts_for,
    imitation_settings,
    of_finished_teachers,
    student_width,
    usual_space,
)
from pocketgan.recipes.method import Method, Wish
from pocketgan.search import AnyStrategy, Nsga2
from pocketgan.training.schedule import Schedule

#: in what Pocket's students differ from OMGD's: a term for pixels, a higher learning rate, subnets of every size
FASTER: dict[str, Any] = dict(pixel=50.0, lr=1e-3, sampling=LevelSampling())
#: and with pairs they learn from the real image too
POCKET = OnlineSettings(truth=True, **FASTER)


class Pocket(ImitationRecipeSettings):
    """Every number of Pocket.

    Attributes:
        warm_up: with pairs, how long the wide teacher learns alone; the supernet then starts from its most
            important channels, and without it from scratch. It starts from those of a finished teacher too, unless
            that is dense or narrower.
        space: names a published space, or lists the options of every width, e.g. 32_24_16_8.
        calibration: on how many training images a candidate's batch norm is calibrated.
        tuning: for how long the chosen subnet goes on learning; with pairs its teachers do so too. Without it the
            result is the subnet as the supernet has it.
        timed: of how many subnets on the front the latency is measured.
    """

    method: ClassVar[str] = "pocket"

    warm_up: Schedule | None = None
    space: str
    search: AnyStrategy = Nsga2()
    calibration: PositiveInt = 64
    tuning: Schedule | None = None
    timed: PositiveInt | None = 16

    @model_validator(mode="after")
    def _warmed_alone(self) -> Pocket:
        if self.warm_up and (self.wide is None or self.deep or isinstance(self.objective, BurstSettings)):
            raise ValueError("a warm-up is for a wide teacher alone, with pairs; set warm_up to null")
        return self

    def recipe(
        self,
        name: str,
        task: Task,
        budget: Budget,
        teacher: TeacherFile | None = None,
        unlabelled: Inputs | None = None,
    ) -> Recipe:
        self.check(task, teacher, unlabelled)
        space = space_named(self.space, self.form(teacher))
        budget.check(space, CostModel(space.spec, *task.size))
        stages: dict[str, Stage] = {}
        # without pairs it chooses the teacher too
        start: dict[str, Any] = dict(metric=self.metric) if isinstance(self.objective, BurstSettings) else {}
        if teacher:
            stages["teacher"] = teacher
            if is_cut(space.spec, teacher.generator.folded):
                start |= dict(init=teacher)
        elif self.warm_up:
            stages["warm-up"] = warmed = self._warmed(task, self.warm_up)
            if not is_cut(space.spec, warmed.generator.folded):
                raise SpecError(
                    f"the space {space.name} holds networks that are no narrower form of the teacher that warms "
                    "up; make that a mobile one as wide and as deep, or set warm_up to null"
                )
            start |= dict(wide=None, deep=None, teachers=warmed, init=warmed, discriminator=self.discriminator)
        stages["supernet"] = supernet = self.training(task, teacher, unlabelled, space=space, **start)
        if teacher is None:
            stages["teacher"] = supernet.teacher
        stages["search"] = search = Search(
            supernet=supernet,
            budget=budget,
            strategy=self.search,
            metric=self.metric,
            calibration=self.calibration,
            seed=self.seed,
        )
        stages["subnet"] = subnet = Pick(search=search)
        if self.tuning:
            learning = isinstance(self.objective, OnlineSettings) and teacher is None
            stages["fine-tuning"] = OnlineDistil(
                **self._everywhere(task, unlabelled),
                **self._splits,
                init=subnet,
                teachers=supernet,
                objective=self.objective if learning else of_finished_teachers(self.objective),
                schedule=self.tuning,
            )
        if self.timed:
            stages["front latency"] = FrontLatency(search=search, points=self.timed)
        return Recipe(
            name=name,
            method=self.method,
            task=task,
            budget=budget,
            metric=self.metric,
            seed=self.seed,
            stages=stages,
            roles=Roles(
                result="fine-tuning" if self.tuning else "subnet",
                search="search",
                front_latency="front latency" if self.timed else None,
            ),
        )

    def _warmed(self, task: Task, schedule: Schedule) -> Train:
        """The teacher that learns alone first."""
        assert self.wide is not None, "checked at construction"
        return Train(
            generator=self.wide,
            discriminator=self.discriminator,
            objective=self.objective.teaching,
            schedule=schedule,
            task=task,
            seed=self.seed,
            precision=self.precision,
        )


def is_cut(spec: GeneratorSpec, whole: GeneratorSpec) -> bool:
    """Whether a network is another one with some of its channels, or all."""
    alike = type(spec) is type(whole) and len(spec.widths) == len(whole.widths)
    return alike and spec.resized(whole.widths) == whole and all(map(le, spec.widths, whole.widths))


#: besides what OMGD has: the training images of the warm-up and of the tuning
EFFORTS: dict[str, dict[str, Any]] = {
    "quick": dict(
        student=32,
        teacher=48,
        discriminator=64,
        paired_images=15_000,
        unpaired_images=4_000,
        warm_up_images=6_000,
        tuning_images=3_000,
        search=Nsga2(population=20, generations=3),
    ),
    "standard": dict(
        student=48,
        teacher=64,
        discriminator=64,
        paired_images=300_000,
        unpaired_images=60_000,
        warm_up_images=100_000,
        tuning_images=50_000,
        search=Nsga2(population=50, generations=20),
    ),
    "paper": dict(
        student=64,
        teacher=96,
        discriminator=128,
        paired_images=2_000_000,
        unpaired_images=240_000,
        warm_up_images=800_000,
        tuning_images=800_000,
        search=Nsga2(population=100, generations=500),
    ),
}


def settings(wish: Wish) -> Pocket:
    numbers = dict(EFFORTS[wish.effort])
    search, (warm_up, tuning) = (
        numbers.pop("search"),
        (numbers.pop(f"{name}_images") for name in ("warm_up", "tuning")),
    )
    shared, paired = imitation_settings(wish, **numbers), wish.task.paired
    width = student_width(wish, numbers["teacher"]) or numbers["student"]
    return Pocket(
        **shared,
        objective=POCKET if paired else bursts_for(shared["schedule"]).model_copy(update=FASTER),
        warm_up=wish.game.schedule(warm_up, wish.task) if paired else None,
        space=usual_space(wish, width),
        search=search,
        tuning=wish.game.schedule(tuning, wish.task),
    )


METHOD = Method(
    name="pocket",
    about="our own: teacher and supernet learn side by side; one run serves every budget",
    settings=settings,
    games=("pix2pix", "cyclegan"),
    unlabelled=True,
    inherits=False,
)
