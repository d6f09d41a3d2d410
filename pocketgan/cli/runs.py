"""Verbs that make and show runs: compress, list, plan, run, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pocketgan.cli.options import (
    BudgetOption,
    Changes,
    Classes,
    Data,
    DataOption,
    Device,
    Json,
    Out,
    Recipe_,
    Sides,
    Unpaired,
    Weights,
    Yes,
    read_sides,
    read_weights,
)
from pocketgan.cli.show import command_line, print_json, progress_shown, table
from pocketgan.errors import SpecError

LONG_HOURS = 12.0


def compress(
    data: Data,
    budget: Annotated[
        str, typer.Option(help="MACs an image by the papers' count (2.6G), or e.g. true_macs=1G,params=400K.")
    ],
    size: Sides = None,
    direction: Annotated[Literal["AtoB", "BtoA"], typer.Option(help="What becomes what.")] = "AtoB",
    unpaired: Unpaired = None,
    classes: Classes = None,
    model: Annotated[
        Literal["pix2pix", "cyclegan", "gaugan", "munit"] | None,
        typer.Option(help="Default by the data: pairs, no pairs, label maps; munit on demand."),
    ] = None,
    method: Annotated[
        Literal["fast-gan-compression", "gan-compression", "once-for-all", "omgd", "pocket"],
        typer.Option(
            help="How it is compressed; once-for-all chooses kernels and depth too, omgd and pocket train teachers "
            "and student together."
        ),
    ] = "fast-gan-compression",
    effort: Annotated[Literal["quick", "standard", "paper"], typer.Option(help="How wide and how long.")] = "quick",
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="A finished teacher, not trained then: a model folder, a run (its teacher), or what import knows."
        ),
    ] = None,
    discriminator: Annotated[Path | None, typer.Option(help="The discriminator of that teacher.")] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Inputs without a partner, from which a student of omgd or pocket learns too: a folder of images, "
            "none of them a test image."
        ),
    ] = None,
    weights: Weights = None,
    out: Out = None,
    set_: Changes = None,
    device: Device = "auto",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Turn a folder of images into a small generator, an ONNX file and a report."""
    from pocketgan.data.inputs import open_inputs
    from pocketgan.data.task import open_task
    from pocketgan.elastic.budget import Budget
    from pocketgan.pipeline.stages import Given
    from pocketgan.pipeline.store import MARK
    from pocketgan.recipes.changes import changed
    from pocketgan.recipes.effort import settings_for
    from pocketgan.recipes.families import model_for
    from pocketgan.recipes.run import teacher_of

    if discriminator and not teacher:
        raise SpecError(f"the discriminator {discriminator} has no teacher; name that with --teacher")
    online = method in ("omgd", "pocket")
    if unlabelled and not online:
        raise SpecError(f"--unlabelled is for --method omgd or pocket, and this is {method}; leave it out")
    if discriminator and online:
        raise SpecError(f"{method} imitates a finished teacher as it is; leave out --discriminator")
    bound, files = Budget.parse(budget), read_weights(weights or [])
    task = open_task(data, direction=direction, size=read_sides(size) or 256, unpaired=unpaired, classes=classes)
    settings = changed(settings_for(effort, task, model or model_for(task), method, bound), set_ or [])
    further = {"unlabelled": open_inputs(unlabelled, task)} if unlabelled else {}
    if teacher and (teacher / MARK).is_file():
        teacher = teacher_of(teacher)
    given = Given.of(teacher, discriminator) if teacher else None
    name = data.resolve().name
    settings.recipe(name, task, bound, given, **further)  # what is wrong, before weights are looked for
    recipe = _sighted(settings, files, set_).recipe(name, task, bound, given, **further)
    carry_out(recipe, out or Path("runs") / recipe.name, device, yes, as_json, files)


def list_(as_json: Json = False) -> None:
    """The recipes of the catalog."""
    from pocketgan.recipes.catalog import ENTRIES

    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "task": entry.task,
            "method": entry.method,
            "budget": entry.budget,
            "about": entry.about,
            "command": entry.command,
            "published": entry.published,
        }
        for entry in ENTRIES.values()
    ]
    if as_json:
        return print_json(rows)
    table(["recipe", "task", "budget", "about"], [[r["name"], r["task"], r["budget"], r["about"]] for r in rows])


def plan(
    recipe: Recipe_,
    data: DataOption = None,
    budget: BudgetOption = None,
    size: Sides = None,
    set_: Changes = None,
    out: Out = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """What a recipe will do: its stages, what is finished, and how long the rest takes on this machine."""
    from pocketgan.recipes.catalog import entry_named, recipe_of
    from pocketgan.recipes.changes import changed

    entry = entry_named(recipe)
    made = recipe_of(entry, changed(entry.settings(), set_ or []), data, budget, read_sides(size))
    show_plan(made, out or Path("runs") / recipe, device, as_json)


def run(
    recipe: Recipe_,
    data: DataOption = None,
    budget: BudgetOption = None,
    size: Sides = None,
    weights: Weights = None,
    set_: Changes = None,
    out: Out = None,
    device: Device = "auto",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Carry out a recipe of the catalog, or go on with it where it stopped."""
    from pocketgan.recipes.catalog import entry_named, recipe_of
    from pocketgan.recipes.changes import changed

    entry, files = entry_named(recipe), read_weights(weights or [])
    settings = changed(entry.settings(), set_ or [])
    recipe_of(entry, settings, data, budget, read_sides(size))  # what is wrong, before weights are looked for
    made = recipe_of(entry, _sighted(settings, files, set_), data, budget, read_sides(size))
    carry_out(made, out or Path("runs") / recipe, device, yes, as_json, files)


def report(run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]) -> None:
    """Measure the latencies of a finished run and write its report again."""
    from pocketgan.recipes.run import report_again

    report_again(run, command_line())
    print(run / "report.html")


def _sighted(settings: Any, files: dict[str, Path], changes: list[str] | None) -> Any:
    """The settings with networks of others that are there; notes on stderr where they are not what was meant."""
    from pocketgan.recipes.sight import with_metric, with_sight

    for name, resolve in (("sight", with_sight), ("metric", with_metric)):
        chosen = any(change.startswith(name) for change in changes or [])
        settings, note = resolve(settings, files, chosen=chosen)
        if note:
            print(f"note: {note}", file=sys.stderr)
    return settings


# -- how things are shown ----------------------------------------------------------------------------------------


def show_plan(recipe: Any, out: Path, device: str, as_json: bool, quiet: bool = False) -> float:
    """Print the stages with what is left of each; returns the seconds left in all."""
    from pocketgan.recipes.estimate import estimate_seconds
    from pocketgan.recipes.run import store_of
    from pocketgan.runtime import Runtime
    from pocketgan.units import duration_text, size_text

    store = store_of(out)
    left = estimate_seconds(recipe, store, Runtime(device=device))
    total = sum(left.values())
    rows = [
        {
            "stage": name,
            "status": store.status(stage),
            "seconds_left": round(left[name], 1),
            "digest": stage.digest,
        }
        for name, stage in recipe.stages.items()
    ]
    if as_json:
        if not quiet:
            print_json({"recipe": recipe.name, "digest": recipe.digest, "stages": rows, "seconds_left": total})
        return total
    print(
        f"{recipe.name}: {recipe.method}, budget {recipe.budget}, {size_text(recipe.task.size)} pixels, "
        f"{recipe.task.split_note}{_labels_text(recipe.task.labels)}"
    )
    table(
        ["stage", "status", "time left on this machine"],
        [[r["stage"], r["status"], duration_text(r["seconds_left"]) if r["seconds_left"] else "-"] for r in rows],
    )
    print(f"about {duration_text(total)} in all; it can be stopped at any time and goes on where it stopped")
    return total


def carry_out(recipe: Any, out: Path, device: str, yes: bool, as_json: bool, weights: dict[str, Path]) -> None:
    from pocketgan.pipeline.store import check_owner
    from pocketgan.recipes.recipe import owner
    from pocketgan.recipes.run import run_recipe
    from pocketgan.runtime import Runtime
    from pocketgan.units import duration_text

    check_owner(out, owner(recipe))
    seconds = show_plan(recipe, out, device, as_json, quiet=True)
    if seconds > LONG_HOURS * 3600 and not yes:
        raise SpecError(
            f"this would take about {duration_text(seconds)} here, more than {LONG_HOURS:g} hours; "
            "add --yes to start it all the same, or choose a smaller --effort or --size"
        )
    with progress_shown() as progress:
        made = run_recipe(
            recipe,
            out,
            Runtime(device=device, weights=weights),
            command_line(),
            lambda name, stage, done, total: progress(name, done, total),
        )
    if as_json:
        return print(made.model_dump_json(indent=1))
    from pocketgan.report.summary import summary_lines

    table(*summary_lines(made))
    print(out / "report.html")


def _labels_text(labels: Any) -> str:
    """What label maps were found to hold, where there are any: a stray label would show here."""
    if labels is None:
        return ""
    more = [word for word, there in (("don't care", labels.dont_care), ("instances", labels.instances)) if there]
    return f"; label maps of {' + '.join([f'{labels.classes} classes', *more])}"
