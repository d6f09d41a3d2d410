"""What a verb was asked to do with images: from its options to settings, and from these to a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketgan.cli.options import read_sides, read_sight, read_values, read_weights, with_precision
from pocketgan.errors import SpecError, unknown
from pocketgan.methods import DEFAULT, method_named

if TYPE_CHECKING:
    from pocketgan.pipeline.teacher_file import TeacherFile
    from pocketgan.runtime import Runtime


@dataclass(frozen=True)
class Job:
    """What a verb was asked to do.

    Attributes:
        recipe: makes the recipe of the settings, when these are final.
    """

    settings: Any
    recipe: Callable[[Any], Any]
    out: Path
    runtime: Runtime

    @classmethod
    def of(
        cls,
        *,
        data: Path,
        budget: str,
        size: str | None,
        load_size: str | None,
        crop: bool,
        flip: bool,
        rotate: bool,
        direction: Any,
        unpaired: bool | None,
        classes: int | None,
        channels: str | None,
        range_: list[str] | None,
        model: str | None,
        method: str,
        effort: Any,
        teacher: Path | None,
        discriminator: Path | None,
        generator: str | None,
        unlabelled: Path | None,
        weights: list[str] | None,
        out: Path | None,
        store: Path | None,
        precision: str | None,
        set_: list[str] | None,
        device: Any,
    ) -> Job:
        """That of `compress`, by its options."""
        from pocketgan.data.inputs import open_inputs
        from pocketgan.data.task import open_task
        from pocketgan.elastic.budget import Budget
        from pocketgan.pipeline.owner import MARK
        from pocketgan.pipeline.teacher_file import TeacherFile
        from pocketgan.recipes.changes import changed, check_used
        from pocketgan.recipes.channels import with_channels
        from pocketgan.recipes.games import GAMES, game_for
        from pocketgan.recipes.method import Wish
        from pocketgan.recipes.supernet import with_generator
        from pocketgan.runs.run import teacher_of
        from pocketgan.runtime import Runtime
        from pocketgan.tracing.generator import arguments_of, generator_named, spec_of

        if generator and teacher:
            raise SpecError(
                "--generator is trained as the teacher, and --teacher is a finished one; give one of them"
            )
        if discriminator and not teacher:
            raise SpecError(f"the discriminator {discriminator} has no teacher; name that with --teacher")
        if model and model not in GAMES:
            raise unknown("model", model, GAMES)
        chosen = method_named(method)
        if unlabelled and not chosen.unlabelled:
            raise SpecError(f"--unlabelled is for --method omgd or pocket, and this is {method}; leave it out")
        if discriminator and not chosen.inherits:
            raise SpecError(f"{method} imitates a finished teacher as it is; leave out --discriminator")
        bound, files = Budget.parse(budget), read_weights(weights or [])
        if teacher and (teacher / MARK).is_file():
            teacher = teacher_of(teacher)
        finished = TeacherFile.of(teacher, discriminator) if teacher else None
        held = read_values(channels, range_ or [])
        if finished:
            held = as_learnt(finished, direction, held)
        task = open_task(
            data,
            direction=direction,
            size=read_sides(size) or 256,
            **held,
            **read_sight(load_size, crop, flip, rotate),
            unpaired=unpaired,
            classes=classes,
        )
        wish = Wish(effort=effort, task=task, game=GAMES[model] if model else game_for(task), budget=bound)
        own, others = arguments_of(set_ or [])
        base, changes = chosen(wish), with_precision(others, precision)
        if generator:
            base = with_generator(base, spec_of(generator_named(generator, own), task.in_channels, task.size))
        elif own:
            raise SpecError(f"--set generator.{next(iter(own))} has no generator; name that with --generator")
        settings = changed(base, changes)
        inputs = open_inputs(unlabelled, task) if unlabelled else None
        name = data.resolve().name

        def recipe(final: Any) -> Any:
            return with_channels(final, task).recipe(name, task, bound, finished, inputs)

        check_used(base, changes, recipe)
        return cls(settings, recipe, out or Path("runs") / name, Runtime(device=device, weights=files, store=store))


def of_catalog(given: dict[str, Any]) -> Job:
    """That of `run`, by the options of `plan`."""
    from pocketgan.catalog.catalog import entry_named, recipe_on, task_of
    from pocketgan.recipes.changes import changed, check_used
    from pocketgan.runtime import Runtime

    entry = entry_named(given["recipe"])
    known = (
        "recipe",
        "data",
        "budget",
        "size",
        "unpaired",
        "weights",
        "out",
        "store",
        "precision",
        "set_",
        "device",
        "as_json",
    )
    usual = {"flip": True, "direction": "AtoB", "method": DEFAULT, "effort": "quick"}
    for name, value in given.items():
        default = usual.get(name, False if isinstance(value, bool) else None)
        if name not in known and value != default:
            option = name.rstrip("_").replace("_", "-") if value else f"no-{name}"
            raise SpecError(f"--{option} is for folders of images, and {entry.name} is a recipe; leave it out")
    base, changes = entry.settings(), with_precision(given["set_"], given["precision"])
    settings = changed(base, changes)

    task = task_of(entry, given["data"], read_sides(given["size"]), given["unpaired"])

    def recipe(final: Any) -> Any:
        return recipe_on(entry, final, task, given["budget"])

    check_used(base, changes, recipe)
    files = read_weights(given["weights"] or [])
    runtime = Runtime(device=given["device"], weights=files, store=given["store"])
    return Job(settings, recipe, given["out"] or Path("runs") / entry.name, runtime)


def as_learnt(teacher: TeacherFile, direction: str, told: dict[str, Any]) -> dict[str, Any]:
    """What images hold, as arguments of `open_task`: what the user says, else what the teacher learnt from."""
    from pocketgan.models import load_model

    spec = teacher.generator
    counts: Any = (None if spec.kind == "spade" else spec.in_channels), spec.out_channels
    if direction == "BtoA":
        counts = counts[::-1]
    known = load_model(teacher.file).domains(direction) if teacher.file.is_dir() else ()
    ranges = {name: (own.low, own.high) for name, own in zip("AB", known, strict=False) if own.learnt_deep}
    return {
        "channels": tuple(own or each for own, each in zip(told["channels"], counts, strict=True)),
        "ranges": told["ranges"] or ranges,
    }
