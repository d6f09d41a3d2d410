"""GAN Compression, Fast GAN Compression and Once-for-all: from a teacher to a small generator within a budget.

All are one recipe. GAN Compression first distils its (mobile) teacher into a narrower student, from whose weights
and discriminator the supernet then starts; the fast form leaves that out and starts the supernet from scratch.
Once-for-all leaves it out too: its teacher is the supernet's largest network, which then shrinks phase by phase.

Source: Li et al., GAN Compression, CVPR 2020; the fast form: TPAMI 2022; Cai et al., Once-for-All, ICLR 2020.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PositiveInt, field_validator

from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.shrinking import shrinking
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError, unknown
from pocketgan.metrics import METRICS
from pocketgan.networks import DiscriminatorSpec, GeneratorSpec, parse_spec
from pocketgan.objectives.precision import Precision
from pocketgan.pipeline.games import Distilling, Sight, Teaching, needs_sight
from pocketgan.pipeline.stages import Distil, Extract, Given, Search, Train
from pocketgan.recipes.families import (
    check_counts,
    check_direction,
    check_family,
    check_metric,
    check_resolutions,
)
from pocketgan.recipes.recipe import Recipe
from pocketgan.recipes.shrinking import progressive_shrinking
from pocketgan.search import AnyStrategy
from pocketgan.training.schedule import Schedule


def by_name(value: Any) -> Any:
    """A network may be given as a spec string, e.g. resnet:48."""
    return parse_spec(value) if isinstance(value, str) else value


def _known(value: str) -> str:
    if value not in METRICS:
        raise unknown("metric", value, METRICS)
    return value


#: a metric that there is
KnownMetric = Annotated[str, AfterValidator(_known)]


class Settings(BaseModel):
    """Every number of the method. Without `predistillation` it is the fast form; without `tuning` the result is the
    subnet as the supernet has it. The student of the pre-distillation is the supernet's largest network.

    `shrinking`: the supernet starts from its largest network, the narrower student or else the teacher itself, and
    shrinks phase by phase; `supernet` is then the length of each phase.

    `space` names a published space or lists the options of every width, e.g. 32_24_16_8. `whole_train`: teacher and
    fine-tuning learn from the selection split too, as in the papers; what is searched never does. `calibration`: on
    how many training images a candidate's batch norm is calibrated. `sight`: what a perceptual term looks through.
    """

    # a space of one width reads as a number on the command line
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    teacher: GeneratorSpec
    discriminator: DiscriminatorSpec
    objective: Teaching
    teaching: Schedule
    predistillation: Schedule | None = None
    space: str
    distillation: Distilling
    supernet: Schedule
    shrinking: bool = False
    search: AnyStrategy
    metric: KnownMetric = "fd_mobilenet_v2"
    calibration: PositiveInt = 64
    tuning: Schedule | None = None
    whole_train: bool = False
    sight: Sight = Sight()
    precision: Precision = "fp32"
    seed: int = 233

    _teacher_by_name = field_validator("teacher", mode="before")(by_name)

    @property
    def method(self) -> str:
        if self.predistillation:
            return "gan-compression"
        return "once-for-all" if self.shrinking else "fast-gan-compression"

    @property
    def games(self) -> tuple[Teaching | Distilling, ...]:
        """The settings of the games that are played."""
        return (self.objective, self.distillation)

    def recipe(self, name: str, task: Task, budget: Budget, teacher: Given | None = None) -> Recipe:
        """See `compression`."""
        return compression(name, task, budget, self, teacher)


def compression(name: str, task: Task, budget: Budget, settings: Settings, teacher: Given | None = None) -> Recipe:
    """The recipe. `teacher`: a finished one, instead of training it; students take its form.

    Raises:
        DataError: the model needs other data, or more of them.
        SpecError: networks, games and images do not belong together; an unknown space.
        BudgetError: the smallest subnet is over the budget.
    """
    form = teacher.generator if teacher else settings.teacher
    judge = (teacher and teacher.discriminator) or settings.discriminator
    check_family(task, form, judge, settings.objective, settings.distillation)
    # a supernet that starts from scratch begins against a fresh discriminator
    first = judge if settings.predistillation or settings.shrinking else settings.discriminator
    check_resolutions(task, settings.distillation.sampling, form, first)
    check_counts(task)
    check_metric(task, settings.metric)
    if teacher:
        check_direction(task, teacher)
    space = space_named(settings.space, form.mobile)
    budget.check(space, CostModel(space.spec, *task.size))
    generator = settings.teacher
    if settings.shrinking and not settings.predistillation:
        if teacher and teacher.generator.folded != space.spec:
            raise SpecError(
                f"once-for-all shrinks its teacher, and this one is not the largest network of {space.name}; leave "
                "out --teacher, or choose --method gan-compression and add --set shrinking=true"
            )
        generator = _trained(space.spec, settings.teacher)
    shared: dict[str, Any] = dict(task=task, seed=settings.seed, precision=settings.precision)
    whole: dict[str, Any] = dict(splits=("train", "select")) if settings.whole_train else {}
    taught: Train | Given = teacher or Train(
        generator=generator,
        discriminator=settings.discriminator,
        objective=settings.objective,
        schedule=settings.teaching,
        sight=settings.sight if needs_sight(settings.objective) else None,
        **whole,
        **shared,
    )
    distil: dict[str, Any] = dict(
        teacher=taught,
        discriminator=settings.discriminator,
        objective=settings.distillation,
        sight=settings.sight if needs_sight(settings.distillation) else None,
        **shared,
    )
    judged = teacher is None or teacher.discriminator is not None
    narrow, phases = None, None
    if settings.predistillation:
        narrow = Distil(
            student=space.spec,
            # dense convolutions cannot be pruned into decomposed ones, nor kernels into larger ones
            init=taught if form.folded.model_copy(update={"widths": space.spec.widths}) == space.spec else None,
            judge=taught if judged else None,
            schedule=settings.predistillation,
            **distil,
        )
    if settings.shrinking:
        schedules = (settings.supernet,) * len(shrinking(space))
        start, against = narrow or taught, narrow or (taught if judged else None)
        phases, supernet = progressive_shrinking(space, schedules, start, against, **distil)
    else:
        supernet = Distil(space=space, init=narrow, judge=narrow, schedule=settings.supernet, **distil)
    search = Search(
        supernet=supernet,
        budget=budget,
        strategy=settings.search,
        metric=settings.metric,
        calibration=settings.calibration,
        seed=settings.seed,
    )
    subnet = Extract(search=search)
    tuned = None
    if settings.tuning:
        tuned = Distil(init=subnet, judge=supernet, schedule=settings.tuning, **whole, **distil)
    return Recipe(
        name=name,
        method=settings.method,
        task=task,
        budget=budget,
        teacher=taught,
        predistilled=narrow,
        phases=phases or (),
        supernet=supernet,
        search=search,
        subnet=subnet,
        tuned=tuned,
    )


def _trained(spec: GeneratorSpec, like: GeneratorSpec) -> GeneratorSpec:
    """A network with what helps training alone in another of its family, such as spectral norm."""
    return spec.model_copy(update={name: value for name, value in like if getattr(like.folded, name) != value})
