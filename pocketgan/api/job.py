"""What is to be done with images: from what a user asks for to settings, and from these to a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from pocketgan.catalog.catalog import Entry, recipe_on, task_of
from pocketgan.data.inputs import open_inputs
from pocketgan.data.task import Direction, open_task
from pocketgan.data.values import Range, Values
from pocketgan.elastic.budget import Budget
from pocketgan.errors import SpecError, unknown
from pocketgan.methods import method_named
from pocketgan.models import load_model
from pocketgan.networks.traced import TracedSpec
from pocketgan.pipeline.owner import MARK
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.availability import choices_of, with_available
from pocketgan.recipes.changes import changed, check_used
from pocketgan.recipes.channels import with_channels
from pocketgan.recipes.games import GAMES, game_for
from pocketgan.recipes.method import Wish
from pocketgan.recipes.supernet import with_generator
from pocketgan.runs.run import teacher_of
from pocketgan.runtime import Runtime
from pocketgan.tracing.generator import arguments_of, generator_named, named_paths, spec_of
from pocketgan.units import Size

Effort = Literal["quick", "standard", "paper"]


@dataclass(frozen=True)
class Job:
    """What is to be done, and where.

    Attributes:
        settings: of the method.
        recipe_of: makes the recipe of the settings, when these are final.
        changes: of single settings, as 'supernet.constant=40'.
        out: the run folder.
    """

    settings: Any
    recipe_of: Callable[[Any], Recipe]
    changes: Sequence[str]
    out: Path
    runtime: Runtime

    def settled(self) -> tuple[Recipe, list[str]]:
        """The recipe with networks of others that are there, and what to tell the user of them."""
        self.recipe_of(self.settings)  # what is wrong is said before weights are looked for
        asked = {change.partition("=")[0].partition(".")[0] for change in self.changes}
        settings, notes = with_available(
            self.settings, self.runtime.weights, asked=asked, written=choices_of(self.out)
        )
        return self.recipe_of(settings), notes


def job_of_images(
    *,
    data: Path,
    budget: str,
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
    method: str,
    effort: Effort,
    teacher: Path | None,
    discriminator: Path | None,
    generator: str | nn.Module | None,
    unlabelled: Path | None,
    weights: Mapping[str, Path],
    out: Path | None,
    store: Path | None,
    changes: Sequence[str],
    device: Any,
) -> Job:
    """That of compressing a generator on a folder of images. See `pocketgan.compress`."""
    if generator and teacher:
        raise SpecError("--generator is trained as the teacher, and --teacher is a finished one; give one of them")
    if discriminator and not teacher:
        raise SpecError(f"the discriminator {discriminator} has no teacher; name that with --teacher")
    if model and model not in GAMES:
        raise unknown("model", model, GAMES)
    chosen = method_named(method)
    if unlabelled and not chosen.unlabelled:
        raise SpecError(f"--unlabelled is for --method omgd or pocket, and this is {method}; leave it out")
    if discriminator and not chosen.inherits:
        raise SpecError(f"{method} imitates a finished teacher as it is; leave out --discriminator")
    bound = Budget.parse(budget)
    if teacher and (teacher / MARK).is_file():
        teacher = teacher_of(teacher)
    finished = TeacherFile.of(teacher, discriminator) if teacher else None
    if finished:
        channels, ranges = as_learnt(finished, direction, channels, ranges)
    task = open_task(
        data,
        direction=direction,
        size=size or 256,
        channels=channels,
        ranges=ranges,
        load_size=load_size,
        crop=crop,
        centre=load_size is not None,
        flip=flip,
        rotate=rotate,
        unpaired=unpaired,
        classes=classes,
    )
    wish = Wish(effort=effort, task=task, game=GAMES[model] if model else game_for(task), budget=bound)
    own, others = arguments_of(list(changes))
    if own and not isinstance(generator, str):
        raise SpecError(f"--set generator.{next(iter(own))} has no generator; name that with --generator")
    choices, others = named_paths(others)
    if choices and not generator:
        raise SpecError(f"--set {next(iter(choices))} has no generator to train; name that with --generator")
    base = chosen(wish)
    if generator:
        module = generator_named(generator, own) if isinstance(generator, str) else generator
        base = with_generator(base, spec_of(module, task.in_channels, task.size, **choices))
    elif finished and isinstance(finished.generator, TracedSpec):
        base = with_generator(base, finished.generator)
    settings = changed(base, others)
    inputs = open_inputs(unlabelled, task) if unlabelled else None
    name = data.resolve().name

    def recipe_of(final: Any) -> Recipe:
        return with_channels(final, task).recipe(name, task, bound, finished, inputs)

    check_used(base, others, recipe_of)
    return Job(
        settings,
        recipe_of,
        others,
        out or Path("runs") / name,
        Runtime(device=device, weights=dict(weights), store=store),
    )


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
) -> Job:
    """That of a recipe of the catalog; None keeps what the recipe has."""
    base = entry.settings()
    settings = changed(base, list(changes))
    task = task_of(entry, data, size, unpaired)

    def recipe_of(final: Any) -> Recipe:
        return recipe_on(entry, final, task, budget)

    check_used(base, list(changes), recipe_of)
    runtime = Runtime(device=device, weights=dict(weights), store=store)
    return Job(settings, recipe_of, changes, out or Path("runs") / entry.name, runtime)


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
