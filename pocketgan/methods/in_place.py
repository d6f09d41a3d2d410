"""In-place: Pocket's second form. A supernet whose largest subnet fills the budget learns by pix2pix, or without
pairs by CycleGAN, with no teacher beside it; a search finds the best subnet, which goes on alone.

Training the small network from scratch is the special case of a space of one size.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.networks.traced import TracedSpec
from pocketgan.objectives.cycle import CycleGanSettings
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycleSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.games import InPlaceGames, Teaching
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.recipe import Recipe, Roles
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.checks import (
    check_counts,
    check_metric,
    check_norms,
    check_players,
    check_resolutions,
)
from pocketgan.recipes.imitation import student_width, usual_space, widest
from pocketgan.recipes.method import Method, Wish
from pocketgan.recipes.settings import NamedGenerator, RecipeSettings
from pocketgan.search import AnyStrategy, Nsga2
from pocketgan.training.schedule import Schedule

#: whatever the widths, without pairs: with the input's own colours in front of tanh, and small kernels at both
#: ends, which are quicker and better; see `pocketgan study input-skip` and `ends`
UNPAIRED_FORM = ResnetSpec.uniform(32, input_skip=True, ends=3).mobile

#: with pairs: norms that keep the level of flat areas and disappear from exported files, and padding that is no
#: operation of its own; see `pocketgan study norms`. CycleGAN's batches of one image are too few for batch norm.
FORM = UNPAIRED_FORM.with_fixed_norms.model_copy(update={"padding": "zero"})

#: what a subnet that goes on alone may be behind the best, where it is larger: see benchmarks/README.md
MARGIN = 0.05

#: what the papers compress. Source: Li et al., GAN Compression, CVPR 2020, pix2pix and CycleGAN
PUBLISHED = ResnetSpec.uniform(64)


class InPlaceMethod(RecipeSettings):
    """Every number of in-place distillation.

    Attributes:
        form: what the networks are, whatever its widths.
        objective: with pairs `InPlaceSettings`, without `InPlaceCycleSettings`.
        schedule: how long the supernet learns.
        space: lists the options of every width, e.g. 32_24_16; the largest is the others' teacher.
        calibration: on how many training images a candidate's batch norm is calibrated.
        margin: of the subnets whose score is behind the best by at most this share of it, the largest goes on.
        tuning: for how long the chosen subnet goes on alone; without it the result is the subnet as it is.
        timed: of how many subnets on the front the latency is measured.
    """

    method: ClassVar[str] = "in-place"

    form: NamedGenerator = FORM
    discriminator: PatchSpec = PatchSpec()
    objective: InPlaceGames = InPlaceSettings()
    schedule: Schedule
    space: str
    search: AnyStrategy = Nsga2()
    calibration: PositiveInt = 64
    margin: Annotated[float, Field(ge=0, lt=1)] = MARGIN
    tuning: Schedule | None = None
    timed: PositiveInt | None = 16

    @property
    def games(self) -> tuple[InPlaceGames, ...]:
        return (self.objective,)

    @property
    def alone(self) -> Teaching:
        paired = isinstance(self.objective, InPlaceSettings)
        return (Pix2PixSettings if paired else CycleGanSettings)(lr=self.objective.lr)

    def of_generator(
        self, generator: TracedSpec, student: TracedSpec | None, task: Task, budget: Budget | None
    ) -> RecipeSettings:
        """The largest subnet is the user's generator, narrowed where arithmetic says that it is over the budget."""
        form = student or generator
        if budget is None or not budget.bounds:
            return self.model_copy(update={"form": form, "space": "quarter"})
        return self.model_copy(update={"form": widest(form.mobile, budget, task), "space": "half"})

    def recipe(
        self,
        name: str,
        task: Task,
        budget: Budget,
        teacher: TeacherFile | None = None,
        unlabelled: Inputs | None = None,
    ) -> Recipe:
        if teacher or unlabelled:
            given = "the finished teacher" if teacher else "--unlabelled"
            raise SpecError(
                f"in-place learns from the images of {task.root} alone; leave {given} out, or use --method pocket"
            )
        check_players(task, self.form, self.discriminator, self.alone)
        check_resolutions(task, self.objective.sampling, self.form, self.discriminator)
        check_counts(task)
        check_norms(self.form, self.schedule, self.tuning)
        check_metric(task, self.metric)
        space = space_named(self.space, self.form.mobile)
        budget.check(space, CostModel(space.spec, *task.size))
        shared: dict[str, Any] = dict(
            task=task,
            discriminator=self.discriminator,
            objective=self.objective,
            seed=self.seed,
            precision=self.precision,
        )
        channels = dict(in_channels=task.in_channels, out_channels=task.out_channels)
        supernet = InPlaceTraining(space=space, schedule=self.schedule, **shared)
        search = Search(
            supernet=supernet,
            budget=budget,
            strategy=self.search,
            metric=self.metric,
            calibration=self.calibration,
            seed=self.seed,
        )
        subnet = Pick(search=search, margin=self.margin if self.tuning else 0.0)
        stages: dict[str, Stage] = {"supernet": supernet, "search": search, "subnet": subnet}
        if self.tuning:
            stages["fine-tuning"] = InPlaceTraining(
                init=subnet, inherited=supernet, schedule=self.tuning, **self._splits, **shared
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
                teacher="supernet",
                result="fine-tuning" if self.tuning else "subnet",
                search="search",
                front_latency="front latency" if self.timed else None,
            ),
            published=PUBLISHED.model_copy(update=channels) if self.form.kind == PUBLISHED.kind else None,
        )


#: base widths, and the training images of supernet and tuning, with pairs and without
EFFORTS: dict[str, dict[str, Any]] = {
    "quick": dict(
        widest=48,
        discriminator=64,
        images={"pix2pix": (8_000, 16_000), "cyclegan": (3_000, 6_000)},
        search=Nsga2(population=20, generations=3),
    ),
    "standard": dict(
        widest=64,
        discriminator=64,
        images={"pix2pix": (120_000, 240_000), "cyclegan": (40_000, 80_000)},
        search=Nsga2(population=50, generations=20),
    ),
    "paper": dict(
        widest=96,
        discriminator=128,
        images={"pix2pix": (1_000_000, 2_000_000), "cyclegan": (300_000, 600_000)},
        search=Nsga2(population=100, generations=500),
    ),
}


def settings(wish: Wish) -> InPlaceMethod:
    numbers = EFFORTS[wish.effort]
    paired = wish.game.name == "pix2pix"
    form = FORM if paired else UNPAIRED_FORM
    width = student_width(wish, numbers["widest"], input_skip=form.input_skip, ends=form.ends) or numbers["widest"]
    images, tuning_images = numbers["images"][wish.game.name]
    return InPlaceMethod(
        form=form,
        discriminator=PatchSpec(in_channels=6 if paired else 3, width=numbers["discriminator"]),
        objective=InPlaceSettings() if paired else InPlaceCycleSettings(),
        schedule=wish.game.schedule(images, wish.task),
        space=usual_space(wish, width),
        search=numbers["search"],
        tuning=wish.game.schedule(tuning_images, wish.task),
    )


METHOD = Method(
    name="in-place",
    about="our own: a supernet no larger than the budget learns from the images, without a teacher",
    settings=settings,
    games=("pix2pix", "cyclegan"),
    inherits=False,
)
