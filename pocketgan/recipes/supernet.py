"""What GAN Compression, its fast form and Once-for-all share: a teacher, a supernet that it teaches, a search
within a budget, and fine-tuning. How the supernet begins is what each of them says itself, in `pocketgan.methods`.

Source: Li et al., GAN Compression, CVPR 2020; the fast form: TPAMI 2022; Cai et al., Once-for-All, ICLR 2020.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, TypeVar

from pydantic import PositiveInt

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.networks import DiscriminatorSpec, GeneratorSpec
from pocketgan.networks.traced import TracedSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.games import Distilling, Teaching
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.recipe import Recipe, Roles
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.pipeline.training import Train
from pocketgan.recipes.checks import (
    check_counts,
    check_direction,
    check_family,
    check_metric,
    check_resolutions,
    check_taps,
)
from pocketgan.recipes.method import Wish
from pocketgan.recipes.settings import NamedGenerator, RecipeSettings
from pocketgan.search import AnyStrategy, Evolution
from pocketgan.search.racing import Race
from pocketgan.training.schedule import Schedule

#: side from which label maps are taken from a grid of 1/64 instead of 1/32 of theirs
_WIDE_GRID = 512
Kind = TypeVar("Kind", bound="SupernetSettings")


class Start(NamedTuple):
    """What a supernet begins from.

    Attributes:
        form: the teacher as a network.
        inherited: the teacher's stage, where a discriminator comes with it.
        distil: the fields that every distillation by this teacher has.
    """

    space: SearchSpace
    teacher: Train | TeacherFile
    form: GeneratorSpec
    inherited: Train | TeacherFile | None
    distil: dict[str, Any]


class SupernetSettings(RecipeSettings):
    """The numbers that the three methods share.

    Attributes:
        teaching: how long the teacher learns; `supernet`, how long the supernet does.
        student: what the supernet is at its widest; default the teacher's form for students.
        space: names a published space, or lists the options of every width, e.g. 32_24_16_8.
        calibration: on how many training images a candidate's batch norm is calibrated.
        race: when candidates that fall behind are stopped; without it all see every image.
        tuning: how long the chosen subnet is fine-tuned; without it the result is the subnet as it is.
    """

    why_off: ClassVar[dict[str, str]] = {
        "tuning": "without pairs this method does no fine-tuning, which the authors found to harm there",
        "race": "every candidate of the search sees all images",
    }
    #: whether the first student plays against the discriminator of a finished teacher
    inherits: ClassVar[bool] = True

    teacher: NamedGenerator
    discriminator: DiscriminatorSpec
    objective: Teaching
    teaching: Schedule
    student: NamedGenerator | None = None
    space: str
    distillation: Distilling
    supernet: Schedule
    search: AnyStrategy
    calibration: PositiveInt = 64
    race: Race | None = None
    tuning: Schedule | None = None

    @property
    def games(self) -> tuple[Teaching | Distilling, ...]:
        return (self.objective, self.distillation)

    @property
    def alone(self) -> Teaching:
        return self.objective

    def to_supernet(self, start: Start) -> dict[str, Stage]:
        """The stages after the teacher, by name; the last one is the supernet, by this name."""
        raise NotImplementedError

    def of_generator(
        self, generator: TracedSpec, student: TracedSpec | None, task: Task, budget: Budget | None
    ) -> RecipeSettings:
        """With the usual space of the widths of its student."""
        return self.model_copy(update={"teacher": generator, "student": student, "space": "quarter"})

    def trained(self, space: SearchSpace, teacher: TeacherFile | None) -> GeneratorSpec:
        """The network that is trained as the teacher. Raises `SpecError` where a finished one will not do."""
        return self.teacher

    def recipe(
        self,
        name: str,
        task: Task,
        budget: Budget,
        teacher: TeacherFile | None = None,
        unlabelled: Inputs | None = None,
    ) -> Recipe:
        if unlabelled:
            raise SpecError(f"--unlabelled is for --method omgd or pocket, and this is {self.method}; leave it out")
        form = teacher.generator if teacher else self.teacher
        discriminator = (teacher and teacher.discriminator) or self.discriminator
        check_family(task, form, discriminator, self.objective, self.distillation)
        first = discriminator if self.inherits else self.discriminator
        check_resolutions(task, self.distillation.sampling, form, first)
        check_counts(task)
        check_metric(task, self.metric)
        if teacher:
            check_direction(task.direction, teacher)
        space = space_named(self.space, self.student or form.mobile)
        check_taps(form, space.spec)
        budget.check(space, CostModel(space.spec, *task.size))

        shared: dict[str, Any] = dict(task=task, seed=self.seed, precision=self.precision)
        generator = self.trained(space, teacher)
        taught: Train | TeacherFile = teacher or Train(
            generator=generator,
            discriminator=self.discriminator,
            objective=self.objective,
            schedule=self.teaching,
            feature_network=self.features_of(self.objective),
            **self._splits,
            **shared,
        )
        distil: dict[str, Any] = dict(
            teacher=taught,
            discriminator=self.discriminator,
            objective=self.distillation,
            feature_network=self.features_of(self.distillation),
            **shared,
        )
        inherited = taught if "discriminator" in taught.leaves else None
        stages = {"teacher": taught, **self.to_supernet(Start(space, taught, form, inherited, distil))}
        supernet = stages["supernet"]
        assert isinstance(supernet, Distil)
        stages["search"] = search = Search(
            supernet=supernet,
            budget=budget,
            strategy=self.search,
            metric=self.metric,
            calibration=self.calibration,
            race=self.race,
            seed=self.seed,
        )
        stages["subnet"] = subnet = Pick(search=search)
        if self.tuning:
            stages["fine-tuning"] = Distil(
                init=subnet, inherited=supernet, schedule=self.tuning, **self._splits, **distil
            )
        return Recipe(
            name=name,
            method=self.method,
            task=task,
            budget=budget,
            metric=self.metric,
            seed=self.seed,
            stages=stages,
            roles=Roles(result="fine-tuning" if self.tuning else "subnet", search="search"),
        )


def supernet_settings(
    kind: type[Kind],
    wish: Wish,
    *,
    teacher: int,
    discriminator: int,
    teacher_images: int,
    supernet_images: int,
    tuning_images: int,
    space: str,
    search: Evolution,
    mobile: bool = False,
    student_lr: float | None = None,
    **further: Any,
) -> Kind:
    """Settings by named numbers: base widths, options of the student's widths, and the training images that each
    training sees. Fine-tuning is left out without pairs, where the authors found that it harms.

    Args:
        mobile: whether the teacher has decomposed convolutions.
        student_lr: the learning rate of students of pairs; default the published one.
        further: settings of the kind's own.
    """
    task, game = wish.task, wish.game
    upsampling = "more" if min(task.size) >= _WIDE_GRID else "normal"
    parts = game.parts(teacher, discriminator, mobile=mobile, in_channels=task.in_channels, upsampling=upsampling)
    if student_lr and isinstance(parts.distillation, DistilSettings) and parts.distillation.paired:
        parts = parts._replace(distillation=parts.distillation.model_copy(update={"lr": student_lr}))
    return kind(
        **parts.fields,
        teaching=game.schedule(teacher_images, task),
        space=space,
        supernet=game.schedule(supernet_images, task),
        tuning=game.schedule(tuning_images, task) if task.paired else None,
        search=search,
        **further,
    )
