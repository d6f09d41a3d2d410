"""What is to be done with images: from what a user asks for to settings, and from these to a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from pocketgan.catalog.catalog import Entry, recipe_on, task_of
from pocketgan.data.inputs import open_inputs
from pocketgan.data.task import Direction, load_sides, open_task
from pocketgan.data.values import Range, Values
from pocketgan.errors import DataError, SpecError, unknown
from pocketgan.interop.checkpoint import read_state
from pocketgan.methods import DEFAULT, OF_PAIRS, method_named
from pocketgan.models import load_model, save_model
from pocketgan.networks.traced import TracedSpec
from pocketgan.pipeline.owner import MARK, check_free
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.pipeline.training import Training
from pocketgan.progress import Show
from pocketgan.recipes.availability import choices_of, with_available
from pocketgan.recipes.changes import changed, check_used
from pocketgan.recipes.channels import with_channels
from pocketgan.recipes.checks import check_direction
from pocketgan.recipes.games import GAMES, PAIRS, game_for
from pocketgan.recipes.guard import guarded
from pocketgan.recipes.latency import budget_of, check_latency
from pocketgan.recipes.method import Wish
from pocketgan.runs.run import store_of, teacher_of
from pocketgan.runs.targets import open_sources, teacher_pairs
from pocketgan.runtime import Runtime
from pocketgan.search import check_url
from pocketgan.tracing.generator import arguments_of, generator_named, named_paths, spec_of, traced, with_student
from pocketgan.units import Size

Effort = Literal["quick", "standard", "paper"]
#: the share of the training images for the guard of what is compressed from images
GUARD = 0.1


@dataclass(frozen=True)
class Job:
    """What is to be done, and where.

    Attributes:
        settings: of the method.
        recipe_of: makes the recipe of the settings, when these are final.
        changes: of single settings, as 'supernet.constant=40'.
        out: the run folder.
        less: the options by which it takes less time.
    """

    settings: Any
    recipe_of: Callable[[Any], Recipe]
    changes: Sequence[str]
    out: Path
    runtime: Runtime
    less: str = "--size"

    def settled(self) -> tuple[Recipe, list[str]]:
        """The recipe with networks of others that are there, and what to tell the user of them."""
        self.recipe_of(self.settings)  # what is wrong is said before weights are looked for
        asked = {change.partition("=")[0].partition(".")[0] for change in self.changes}
        settings, notes = with_available(
            self.settings, self.runtime.weights, asked=asked, written=choices_of(self.out)
        )
        recipe = self.recipe_of(settings)
        if self.runtime.world.leads:
            check_latency(recipe, store_of(self.out, self.runtime.store))
        check_shares(recipe, settings, self.runtime.devices)
        return recipe, notes


def job_of_images(
    *,
    data: Path,
    budget: str | float,
    size: Size | None,
    load_size: Size | None,
    crop: bool,
    flip: bool,
    rotate: bool,
    direction: Direction,
    unpaired: bool | None,
    classes: int | None,
    channels: tuple[int | None, int | None],
    ranges: Mapping[str, Range],
    model: str | None,
    method: str | None,
    effort: Effort,
    teacher: Path | None,
    discriminator: Path | None,
    generator: str | nn.Module | None,
    teacher_weights: Path | Mapping[str, Tensor] | None,
    targets: str | None,
    unlabelled: Path | None,
    weights: Mapping[str, Path],
    out: Path | None,
    store: Path | None,
    changes: Sequence[str],
    device: Any,
    place: Path,
    progress: Show,
    devices: int = 1,
    storage: str | None = None,
    runtime: str | None = None,
) -> Job:
    """That of compressing a generator on a folder of images. See `pocketgan.compress`.

    Args:
        place: a folder that is there as long as the job: for a teacher that is made of a module and weights.
        progress: of what is done at once: pictures of the teacher as targets.
        runtime: on which the budget bounds the latency, and its threads, as onnxruntime:1.
    """
    if generator and teacher:
        raise SpecError("--generator is trained as the teacher, and --teacher is a finished one; give one of them")
    if teacher_weights is not None and not generator:
        raise SpecError("--teacher-weights are those of a generator of your own; name it with --generator")
    if targets is not None and targets != "teacher":
        raise SpecError(
            f"--targets {targets} is not known; say teacher, for the teacher's pictures, or leave it out"
        )
    if targets and not teacher and teacher_weights is None:
        raise SpecError(
            "--targets teacher needs a finished one; name it by --teacher, or by --generator and --teacher-weights"
        )
    if targets and model not in (None, "pix2pix"):
        raise SpecError(f"--targets teacher makes pairs, which are for pix2pix, not for {model}; leave out --model")
    if targets and (unpaired or classes or unlabelled):
        raise SpecError("--targets teacher makes pairs of images; leave out --unpaired, --classes and --unlabelled")
    if discriminator and not teacher:
        raise SpecError(f"the discriminator {discriminator} has no teacher; name that with --teacher")
    if model and model not in GAMES:
        raise unknown("model", model, GAMES)
    if method is None and (teacher or generator or unlabelled or model not in (None, "pix2pix")):
        method = DEFAULT
    if method:
        chosen = method_named(method)
        if unlabelled and not chosen.unlabelled:
            raise SpecError(f"--unlabelled is for --method omgd or pocket, and this is {method}; leave it out")
        if discriminator and not chosen.inherits:
            raise SpecError(f"{method} imitates a finished teacher as it is; leave out --discriminator")
    bound = budget_of(budget, runtime)
    if teacher and (teacher / MARK).is_file():
        teacher = teacher_of(teacher)
    finished = TeacherFile.of(teacher, discriminator) if teacher else None
    if finished:
        channels, ranges = as_learnt(finished, direction, channels, ranges)
    own, others = arguments_of(list(changes))
    if own and not isinstance(generator, str):
        raise SpecError(f"--set generator.{next(iter(own))} has no generator; name that with --generator")
    choices, others = named_paths(others)
    if choices and not generator:
        raise SpecError(f"--set {next(iter(choices))} has no generator to train; name that with --generator")
    module = generator_named(generator, own) if isinstance(generator, str) else generator
    name, sides, source = data.resolve().name, size or (256, 256), "AB".index(direction[0])
    out = out or Path("runs") / name
    task_on = partial(
        open_task,
        direction=direction,
        size=sides,
        load_size=load_size,
        crop=crop,
        centre=load_size is not None,
        flip=flip,
        rotate=rotate,
    )
    if targets:
        alone = open_sources(data, sides, channels[source], ranges.get(direction[0], ranges.get("")))
        into = alone.values.channels
    else:
        task = task_on(data, channels=channels, ranges=ranges, unpaired=unpaired, classes=classes)
        into = task.in_channels
    student = None
    if module is not None and teacher_weights is not None:
        student = _finished(module, teacher_weights, place, into, sides, **choices)
        finished = TeacherFile.of(place)
    if targets:
        assert finished is not None, "targets without a teacher are refused above"
        check_direction(direction, finished)
        if finished.generator.kind == "spade":
            raise SpecError(
                "--targets teacher is for teachers of images, and this one takes label maps; leave it out"
            )
        check_free(out)
        folder, values = teacher_pairs(
            alone,
            finished.model(),
            finished.content,
            store_of(out, store).cache,
            direction=direction,
            load_size=load_sides(sides, load_size, crop),
            range_=ranges.get(direction[-1]),
            device=Runtime(device=device).place,
            progress=partial(progress, "pictures of the teacher"),
        )
        task = task_on(folder, values=values, unpaired=False)
    game = GAMES[model] if model else game_for(task)
    if method is None:
        chosen = method_named(OF_PAIRS if game.data == PAIRS else DEFAULT)
    # the size of a network of our own is no matter where the user's takes its place
    wish = Wish(effort=effort, task=task, game=game, budget=None if module is not None else bound)
    base = chosen(wish).model_copy(update={"guard": GUARD})
    if module is not None and not finished:
        base = base.of_generator(spec_of(module, into, sides, **choices), None, task, bound)
    elif finished and isinstance(finished.generator, TracedSpec):
        base = base.of_generator(finished.generator, student, task, bound)
    settings = changed(base, others)
    inputs = open_inputs(unlabelled, task) if unlabelled else None

    def recipe_of(final: Any) -> Recipe:
        own = with_channels(final, task)
        return guarded(own.recipe(name, task, bound, finished, inputs), own)

    check_used(base, others, recipe_of)
    return Job(
        settings,
        recipe_of,
        others,
        out,
        _runtime(device, devices, weights, store, storage),
        less="--effort or --size",
    )


def _finished(
    module: nn.Module,
    weights: Path | Mapping[str, Tensor],
    place: Path,
    channels: int,
    size: Size,
    taps: tuple[str, ...] = (),
    separable: tuple[str, ...] = (),
) -> TracedSpec | None:
    """Write a user's trained generator as a model folder; returns the form of its students, if that is another."""
    state = dict(weights) if isinstance(weights, Mapping) else read_state(weights)
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise DataError(
            f"the weights are not those of this {type(module).__name__}: {str(error).splitlines()[-1].strip()}; "
            "give the state dict of the same class"
        ) from error
    if separable:
        teacher, student = with_student(module, channels, size, taps, separable)
    else:
        teacher, student = traced(module, channels, size, taps), None
    save_model(place, teacher.generator(), {})
    return student


def job_of_entry(
    entry: Entry,
    *,
    data: Path | None,
    budget: str | None,
    size: Size | None,
    unpaired: bool | None,
    weights: Mapping[str, Path],
    out: Path | None,
    store: Path | None,
    changes: Sequence[str],
    device: Any,
    devices: int = 1,
    storage: str | None = None,
    runtime: str | None = None,
) -> Job:
    """That of a recipe of the catalog; None keeps what the recipe has. `runtime`: where its latency is bounded."""
    base = entry.settings()
    settings = changed(base, list(changes))
    task = task_of(entry, data, size, unpaired)

    def recipe_of(final: Any) -> Recipe:
        return recipe_on(entry, final, task, budget, runtime)

    check_used(base, list(changes), recipe_of)
    own = _runtime(device, devices, weights, store, storage)
    return Job(settings, recipe_of, changes, out or Path("runs") / entry.name, own)


def check_shares(recipe: Recipe, settings: Any, devices: int) -> None:
    """Raise `SpecError` unless all devices get equal shares of the batches of every training."""
    batches = {stage.schedule.batch_size for stage in recipe.stages.values() if isinstance(stage, Training)}
    if not (uneven := {batch for batch in batches if batch % devices}):
        return
    names = [name for name, value in settings if getattr(value, "batch_size", None) in uneven]
    batch = max(uneven)
    even = [f"--set {name}.batch_size={-(-batch // devices) * devices}" for name in names]
    raise SpecError(
        f"a batch of {batch} has no equal shares for {devices} devices; add {' '.join(even)}, or choose another "
        "--devices"
    )


def _runtime(
    device: Any, devices: int, weights: Mapping[str, Path], store: Path | None, storage: str | None
) -> Runtime:
    if storage is not None:
        check_url(storage)
    return Runtime(device=device, devices=devices, weights=dict(weights), store=store, storage=storage)


def as_learnt(
    teacher: TeacherFile,
    direction: Direction,
    channels: tuple[int | None, int | None],
    ranges: Mapping[str, Range],
) -> tuple[tuple[int | None, int | None], Mapping[str, Range]]:
    """Channels and ranges of the images of A and of B: what the user says, else what the teacher learnt from."""
    spec = teacher.generator
    counts: Any = (None if spec.kind == "spade" else spec.in_channels), spec.out_channels
    known: Any = (Values(), Values())
    if teacher.file.is_dir() and spec.kind != "spade":
        model = load_model(teacher.file)
        known = model.source, model.target
    if direction == "BtoA":
        counts, known = counts[::-1], known[::-1]
    learnt = {name: (own.low, own.high) for name, own in zip("AB", known, strict=True) if own.learnt_deep}
    return (channels[0] or counts[0], channels[1] or counts[1]), ranges or learnt
