"""Verbs that make and show runs: compress, list, plan, run, report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pocketgan.cli.options import (
    BudgetOption,
    Changes,
    Classes,
    Crop,
    Data,
    DataOption,
    Device,
    Flip,
    Images,
    Json,
    LoadSize,
    Out,
    Precision,
    Recipe_,
    Rotate,
    Sides,
    Unpaired,
    Weights,
    Yes,
    read_sides,
    read_sight,
    read_weights,
)
from pocketgan.cli.show import command_line, print_json, progress_shown, table
from pocketgan.errors import SpecError, unknown
from pocketgan.methods import DEFAULT, method_named, method_names

if TYPE_CHECKING:
    from pocketgan.runtime import Runtime

LONG_HOURS = 12.0


def compress(
    data: Data,
    budget: Annotated[
        str, typer.Option(help="MACs an image by the papers' count (2.6G), or e.g. true_macs=1G,params=400K.")
    ],
    size: Sides = None,
    load_size: LoadSize = None,
    crop: Crop = False,
    flip: Flip = True,
    rotate: Rotate = False,
    direction: Annotated[Literal["AtoB", "BtoA"], typer.Option(help="What becomes what.")] = "AtoB",
    unpaired: Unpaired = None,
    classes: Classes = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="pix2pix, cyclegan, gaugan or munit; default by the data: pairs, no pairs, label maps; munit on "
            "demand."
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help=f"How it is compressed: {', '.join(method_names())}. once-for-all chooses kernels and depth too, "
            "omgd and pocket train teachers and student together."
        ),
    ] = DEFAULT,
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
    precision: Precision = None,
    set_: Changes = None,
    device: Device = "auto",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Turn a folder of images into a small generator, an ONNX file and a report."""
    from pocketgan.data.inputs import open_inputs
    from pocketgan.data.task import open_task
    from pocketgan.elastic.budget import Budget
    from pocketgan.pipeline.store import MARK
    from pocketgan.pipeline.teacher_file import TeacherFile
    from pocketgan.recipes.changes import changed
    from pocketgan.recipes.games import GAMES, game_for
    from pocketgan.recipes.method import Wish
    from pocketgan.runs.run import teacher_of
    from pocketgan.runtime import Runtime

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
    task = open_task(
        data,
        direction=direction,
        size=read_sides(size) or 256,
        **read_sight(load_size, crop, flip, rotate),
        unpaired=unpaired,
        classes=classes,
    )
    wish = Wish(effort=effort, task=task, game=GAMES[model] if model else game_for(task), budget=bound)
    settings = changed(chosen(wish), with_precision(set_, precision))
    inputs = open_inputs(unlabelled, task) if unlabelled else None
    if teacher and (teacher / MARK).is_file():
        teacher = teacher_of(teacher)
    finished = TeacherFile.of(teacher, discriminator) if teacher else None
    name = data.resolve().name
    out = out or Path("runs") / name
    carry_out(
        settings,
        lambda final: final.recipe(name, task, bound, finished, inputs),
        set_,
        out,
        Runtime(device=device, weights=files),
        yes,
        as_json,
    )


def list_(as_json: Json = False) -> None:
    """The recipes of the catalog."""
    from pocketgan.catalog.catalog import ENTRIES

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
    precision: Precision = None,
    set_: Changes = None,
    out: Out = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """What a recipe will do: its stages, what is finished, and how long the rest takes on this machine."""
    from pocketgan.catalog.catalog import entry_named, recipe_of
    from pocketgan.recipes.changes import changed
    from pocketgan.runtime import Runtime

    entry = entry_named(recipe)
    settings = changed(entry.settings(), with_precision(set_, precision))
    show_plan(
        recipe_of(entry, settings, data, budget, read_sides(size)),
        out or Path("runs") / recipe,
        Runtime(device=device),
        as_json,
    )


def run(
    recipe: Recipe_,
    data: DataOption = None,
    budget: BudgetOption = None,
    size: Sides = None,
    weights: Weights = None,
    precision: Precision = None,
    set_: Changes = None,
    out: Out = None,
    device: Device = "auto",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Carry out a recipe of the catalog, or go on with it where it stopped."""
    from pocketgan.catalog.catalog import entry_named, recipe_of
    from pocketgan.recipes.changes import changed
    from pocketgan.runtime import Runtime

    entry, files = entry_named(recipe), read_weights(weights or [])
    carry_out(
        changed(entry.settings(), with_precision(set_, precision)),
        lambda final: recipe_of(entry, final, data, budget, read_sides(size)),
        set_,
        out or Path("runs") / recipe,
        Runtime(device=device, weights=files),
        yes,
        as_json,
    )


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)], data: Images = None
) -> None:
    """Measure the latencies of a finished run and write its report again."""
    from pocketgan.runs.run import report_again

    report_again(run, command_line(), data)
    print(run / "report.html")


def with_precision(changes: list[str] | None, precision: str | None) -> list[str]:
    """The changes of settings, that of the precision among them."""
    return [*(changes or []), *([f"precision={precision}"] if precision else [])]


# -- how things are shown ----------------------------------------------------------------------------------------


def show_plan(recipe: Any, out: Path, runtime: Runtime, as_json: bool, quiet: bool = False) -> float:
    """Print the stages with what is left of each; returns the seconds left in all."""
    from pocketgan.runs.run import estimate_seconds, store_of
    from pocketgan.units import duration_text, size_text

    store = store_of(out)
    left = estimate_seconds(recipe, store, runtime)
    total = sum(left.values())
    rows = [
        {
            "stage": name,
            "status": store.status(stage),
            "seconds_left": round(left[name], 1),
            "digest": stage.digest,
        }
        for name, stage in recipe.all_stages.items()
    ]
    if as_json:
        if not quiet:
            print_json({"recipe": recipe.name, "digest": recipe.digest, "stages": rows, "seconds_left": total})
        return total
    print(
        f"{recipe.name}: {recipe.method}, budget {recipe.budget}, {size_text(recipe.task.size)} pixels, "
        f"{recipe.task.pairing_note}, {recipe.task.split_note}{_labels_text(recipe.task.labels)}"
    )
    if recipe.task.sight_note:
        print(f"training sees {recipe.task.sight_note}")
    if recipe.unlabelled:
        print(f"besides {recipe.unlabelled.note}")
    table(
        ["stage", "status", "time left on this machine"],
        [[r["stage"], r["status"], duration_text(r["seconds_left"]) if r["seconds_left"] else "-"] for r in rows],
    )
    print(f"about {duration_text(total)} in all; it can be stopped at any time and goes on where it stopped")
    return total


def carry_out(
    settings: Any,
    recipe_of: Callable[[Any], Any],
    changes: list[str] | None,
    out: Path,
    runtime: Runtime,
    yes: bool,
    as_json: bool,
) -> None:
    """Run the recipe that `recipe_of` makes of the settings, with networks of others that are there."""
    from pocketgan.pipeline.recipe import owner
    from pocketgan.pipeline.store import check_owner
    from pocketgan.recipes.availability import choices_of, with_available
    from pocketgan.runs.run import run_recipe
    from pocketgan.units import duration_text

    recipe_of(settings)  # what is wrong is said before weights are looked for
    asked = {change.partition("=")[0].partition(".")[0] for change in changes or []}
    settings, notes = with_available(settings, runtime.weights, asked=asked, written=choices_of(out))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    recipe = recipe_of(settings)
    check_owner(out, owner(recipe))
    seconds = show_plan(recipe, out, runtime, as_json, quiet=True)
    if seconds > LONG_HOURS * 3600 and not yes:
        raise SpecError(
            f"this would take about {duration_text(seconds)} here, more than {LONG_HOURS:g} hours; "
            "add --yes to start it all the same, or choose a smaller --effort or --size"
        )
    with progress_shown() as progress:
        result = run_recipe(
            recipe,
            out,
            runtime,
            command_line(),
            lambda name, stage, done, total: progress(name, done, total),
        )
    if as_json:
        return print(result.model_dump_json(indent=1))
    from pocketgan.report.summary import summary_lines

    table(*summary_lines(result))
    print(out / "report.html")


def _labels_text(labels: Any) -> str:
    """What label maps were found to hold, where there are any: a stray label would show here."""
    if labels is None:
        return ""
    more = [word for word, there in (("don't care", labels.dont_care), ("instances", labels.instances)) if there]
    return f"; label maps of {' + '.join([f'{labels.classes} classes', *more])}"
