"""Verbs of the catalog and of runs: list, run, report; and how any run is planned and carried out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketgan.cli.devices import share_work
from pocketgan.cli.options import (
    Address,
    BudgetOption,
    Changes,
    DataOption,
    Device,
    Devices,
    Images,
    Json,
    Node,
    Nodes,
    Out,
    Precision,
    Quiet,
    Recipe_,
    ServedOn,
    Sides,
    StorageOption,
    StoreOption,
    Unpaired,
    Weights,
    Yes,
    read_sides,
    read_weights,
    with_precision,
)
from pocketgan.cli.show import command_line, print_json, say, table
from pocketgan.errors import OutOfMemory, SpecError
from pocketgan.progress import progress_shown

if TYPE_CHECKING:
    from pocketgan.api.job import Job
    from pocketgan.pipeline.store import Store

LONG_HOURS = 12.0
#: of work before which a user at a terminal is asked
ASKING_MINUTES = 5.0


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


def run(
    recipe: Recipe_,
    data: DataOption = None,
    budget: BudgetOption = None,
    runtime: ServedOn = None,
    size: Sides = None,
    unpaired: Unpaired = None,
    weights: Weights = None,
    precision: Precision = None,
    set_: Changes = None,
    out: Out = None,
    store: StoreOption = None,
    storage: StorageOption = None,
    device: Device = "auto",
    devices: Devices = None,
    nodes: Nodes = 1,
    node: Node = 0,
    address: Address = None,
    yes: Yes = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Carry out a recipe of the catalog, or go on with it where it stopped."""
    given = {name: value for name, value in locals().items() if name not in ("yes", "quiet", "as_json")}
    carry_out(job_of_recipe(share_work(given)), yes, quiet, as_json)


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)], data: Images = None
) -> None:
    """Measure the latencies of a finished run and write its report again."""
    from pocketgan.runs.run import report_again

    report_again(run, command_line(), data)
    print(run / "report.html")


# -- how things are shown ----------------------------------------------------------------------------------------


def show_plan(
    recipe: Any, store: Store, left: Mapping[str, float], notes: Sequence[str], as_json: bool = False
) -> None:
    """Print the stages with the seconds `left` of each, after the notes."""
    from pocketgan.units import duration_text, size_text

    tell(notes)
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
        return print_json({"recipe": recipe.name, "digest": recipe.digest, "stages": rows, "seconds_left": total})
    say(
        f"{recipe.name}: {recipe.method}, budget {recipe.budget}, {size_text(recipe.task.size)} pixels, "
        f"{recipe.task.pairing_note}, {recipe.task.split_note}{_labels_text(recipe.task.labels)}"
    )
    if recipe.task.values_note:
        say(f"images of {recipe.task.values_note}")
    if recipe.task.sight_note:
        say(f"training sees {recipe.task.sight_note}")
    if recipe.unlabelled:
        say(f"besides {recipe.unlabelled.note}")
    table(
        ["stage", "status", "time left on this machine"],
        [[r["stage"], r["status"], duration_text(r["seconds_left"]) if r["seconds_left"] else "-"] for r in rows],
    )
    say(f"about {duration_text(total)} in all; it can be stopped at any time and goes on where it stopped")


def tell(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {note}", err=True)


def job_of_recipe(given: dict[str, Any]) -> Job:
    """What the options of `run` ask for."""
    from pocketgan.api.job import job_of_entry
    from pocketgan.catalog.catalog import entry_named

    texts = ("recipe", "size", "weights", "precision", "set_")
    return job_of_entry(
        entry_named(given["recipe"]),
        **{name: value for name, value in given.items() if name not in texts},
        size=read_sides(given["size"]),
        weights=read_weights(given["weights"] or []),
        changes=with_precision(given["set_"], given["precision"]),
    )


def carry_out(job: Job, yes: bool, quiet: bool, as_json: bool) -> None:
    """Run the recipe of a job, with networks of others that are there."""
    from pocketgan.pipeline.owner import check_owner
    from pocketgan.pipeline.recipe import owner
    from pocketgan.runs.run import estimate_seconds, run_recipe, store_of
    from pocketgan.units import duration_text

    out, runtime = job.out, job.runtime
    recipe, notes = job.settled()
    check_owner(out, owner(recipe))
    store = store_of(out, runtime.store)

    def seconds_left() -> dict[str, float]:
        """Of each stage, after they were shown; nothing where it is not to be started."""
        left = estimate_seconds(recipe, store, runtime)
        seconds = sum(left.values())
        if as_json and not quiet:
            tell(notes)
        elif not quiet:
            show_plan(recipe, store, left, notes)
        if seconds > ASKING_MINUTES * 60 and not yes and at_terminal():
            if not typer.confirm(f"this takes about {duration_text(seconds)}; start it?", default=True, err=True):
                say(f"nothing was started; a smaller {job.less} takes less time", err=True)
                return {}
        elif seconds > LONG_HOURS * 3600 and not yes:
            raise SpecError(
                f"this would take about {duration_text(seconds)} here, more than {LONG_HOURS:g} hours; "
                f"add --yes to start it all the same, or choose a smaller {job.less}"
            )
        return left

    if not (left := runtime.world.first(seconds_left)):
        raise typer.Exit
    quiet = quiet or not runtime.world.leads
    with progress_shown(left, quiet=quiet) as progress, _less_memory(job.settings):
        result = run_recipe(
            recipe,
            out,
            runtime,
            command_line(),
            lambda name, stage, done, total: progress(name, done, total),
        )
    if not runtime.world.leads:
        return
    if as_json:
        return print(result.model_dump_json(indent=1))
    from pocketgan.report.comparison import guard_text
    from pocketgan.report.summary import summary_lines

    if not quiet:
        table(*summary_lines(result))
        if result.latency:
            say(result.latency.text)
        if guard := guard_text(result):
            say(guard)
    print(out / "report.html")


@contextmanager
def _less_memory(settings: Any) -> Iterator[None]:
    """Say where the memory is not enough which of these settings makes the batch smaller."""
    try:
        yield
    except OutOfMemory as error:
        names = [name for name, value in settings if getattr(value, "batch_size", None) == error.batch]
        raise OutOfMemory(error.what, error.batch, *(f"{name}.batch_size" for name in names[:1])) from error


def at_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _labels_text(labels: Any) -> str:
    """What label maps were found to hold, where there are any: a stray label would show here."""
    if labels is None:
        return ""
    more = [word for word, there in (("don't care", labels.dont_care), ("instances", labels.instances)) if there]
    return f"; label maps of {' + '.join([f'{labels.classes} classes', *more])}"
