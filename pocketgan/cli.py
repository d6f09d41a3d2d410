"""The command line. Verbs are the user's sentences; only this module prints and exits.

Heavy imports are local to the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pocketgan import __version__
from pocketgan.errors import PocketGANError, SpecError, unknown

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Compress conditional image-to-image GANs to a budget that you name.",
)

LONG_HOURS = 12.0

#: click's own, or the copy of it that newer versions of typer bring along
UsageError: Any = typer.BadParameter.__mro__[1]

Data = Annotated[Path, typer.Argument(help="Folder of image pairs.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; default runs/NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change one setting, e.g. supernet.constant=40.")]
ModelText = Annotated[
    str, typer.Argument(help="Model folder, run folder, ONNX file or spec like mobile-resnet:48.")
]
Size = Annotated[int | None, typer.Option(min=1, help="Side of the images; default the model's, else 256.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]


def version(asked: bool) -> bool:
    if asked:
        print(__version__)
        raise typer.Exit
    return asked


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: pocketgan compress path/to/pairs --budget 1.5G --size 128")
def compress(
    data: Data,
    budget: Annotated[
        str, typer.Option(help="MACs an image by the papers' count (2.6G), or e.g. true_macs=1G,params=400K.")
    ],
    size: Annotated[int, typer.Option(min=1, help="Side of the images in pixels.")] = 256,
    direction: Annotated[Literal["AtoB", "BtoA"], typer.Option(help="What becomes what.")] = "AtoB",
    method: Annotated[str, typer.Option(help="fast-gan-compression.")] = "fast-gan-compression",
    effort: Annotated[Literal["quick", "standard", "paper"], typer.Option(help="How wide and how long.")] = "quick",
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of a finished teacher; it is not trained then.")
    ] = None,
    out: Out = None,
    set_: Changes = None,
    device: Device = "auto",
    yes: Annotated[bool, typer.Option("--yes", help="Start even if it takes long.")] = False,
    as_json: Json = False,
) -> None:
    """Turn a folder of image pairs into a small generator, an ONNX file and a report."""
    from pocketgan.data.task import open_task
    from pocketgan.elastic.budget import Budget
    from pocketgan.pipeline.stages import Given
    from pocketgan.recipes.catalog import METHODS, changed
    from pocketgan.recipes.effort import settings_for

    if method not in METHODS:
        raise unknown("method", method, METHODS)
    bound = Budget.parse(budget)
    task = open_task(data, direction=direction, size=size)
    settings = changed(settings_for(effort, len(task.files("train"))), set_ or [])
    given = Given.of(teacher) if teacher else None
    recipe = METHODS[method](data.resolve().name, task, bound, settings, given)
    _carry_out(recipe, out or Path("runs") / recipe.name, device, yes, as_json)


@app.command("list", epilog="Example: pocketgan list --json")
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
            "published": entry.published,
        }
        for entry in ENTRIES.values()
    ]
    if as_json:
        return _print_json(rows)
    _table(["recipe", "task", "budget", "about"], [[r["name"], r["task"], r["budget"], r["about"]] for r in rows])


Recipe_ = Annotated[str, typer.Argument(help="A name from `pocketgan list`.", show_default=False)]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the image pairs.")]
BudgetOption = Annotated[str | None, typer.Option("--budget", help="Another budget than the recipe's.")]


@app.command(epilog="Example: pocketgan plan demo")
def plan(
    recipe: Recipe_,
    data: DataOption = None,
    budget: BudgetOption = None,
    set_: Changes = None,
    out: Out = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """What a recipe will do: its stages, what is finished, and how long the rest takes on this machine."""
    from pocketgan.recipes.catalog import entry_named, recipe_of

    made = recipe_of(entry_named(recipe), data, budget, set_ or [])
    _show_plan(made, out or Path("runs") / recipe, device, as_json)


@app.command(epilog="Example: pocketgan run demo")
def run(
    recipe: Recipe_,
    data: DataOption = None,
    budget: BudgetOption = None,
    set_: Changes = None,
    out: Out = None,
    device: Device = "auto",
    yes: Annotated[bool, typer.Option("--yes", help="Start even if it takes long.")] = False,
    as_json: Json = False,
) -> None:
    """Carry out a recipe of the catalog, or go on with it where it stopped."""
    from pocketgan.recipes.catalog import entry_named, recipe_of

    made = recipe_of(entry_named(recipe), data, budget, set_ or [])
    _carry_out(made, out or Path("runs") / recipe, device, yes, as_json)


@app.command(epilog="Example: pocketgan profile mobile-resnet:32_32_48_32_48_48_16_16 --size 256 --json")
def profile(
    model: ModelText,
    size: Size = None,
    runtime: Annotated[
        list[str] | None, typer.Option(help="Measure the latency on: onnxruntime, torch (repeatable).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the latency measurement.")] = 1,
    layers: Annotated[bool, typer.Option("--layers", help="One line a layer.")] = False,
    as_json: Json = False,
) -> None:
    """Parameters, both MACs, size and measured latency of a network."""
    from pocketgan.deploy.profile import profile_model

    result = profile_model(model, size, runtime or [], threads, layers)
    if as_json:
        return _print_json(result)
    from pocketgan.deploy.profile import describe

    for name, value in describe(result):
        print(f"{name:28} {value}")
    if layers:
        keys = ["name", "kind", "out_shape", "params", "macs", "true_macs"]
        _table(keys, [[str(layer[key]) for key in keys] for layer in result["layers"]])


@app.command(epilog="Example: pocketgan evaluate runs/demo path/to/pairs --size 128")
def evaluate(
    model: ModelText,
    data: Data,
    metrics: Annotated[str | None, typer.Option(help="Comma-separated; default all.")] = None,
    split: Annotated[Literal["train", "select", "test"], typer.Option(help="Which split.")] = "test",
    size: Size = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="What becomes what; default the model's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a model on image pairs, with 95 % confidence intervals."""
    import tempfile

    from pocketgan.data.batches import evaluation_batches
    from pocketgan.data.cache import load_pairs
    from pocketgan.data.task import open_task
    from pocketgan.metrics.evaluate import METRICS, Evaluator
    from pocketgan.models import find_model

    found = find_model(model)
    side = size or found.card.get("size", 256)
    found.spec.check_size(side)
    task = open_task(data, direction=direction or found.card.get("direction", "AtoB"), size=side)
    names = metrics.split(",") if metrics else list(METRICS)
    with tempfile.TemporaryDirectory() as cache:
        pairs = load_pairs(task, split, Path(cache), training=False)
        result = Evaluator(list(evaluation_batches(pairs, 16)), metrics=names)(found.network, intervals=True)
    content = {
        "model": model,
        "split": split,
        "images": len(result.names),
        "size": side,
        "data_digest": task.data_digest,
        "scores": result.scores,
        "intervals": result.intervals,
    }
    if as_json:
        return _print_json(content)
    print(f"{len(result.names)} images of the {split} split at {side} pixels")
    rows = [
        [name, f"{value:.4g}", "{:.4g} to {:.4g}".format(*result.intervals[name]), METRICS[name].better]
        for name, value in result.scores.items()
    ]
    _table(["metric", "score", "95 % interval", "better"], rows)


@app.command(epilog="Example: pocketgan translate runs/demo sketches/*.png -o pictures")
def translate(
    model: ModelText,
    images: Annotated[list[Path], typer.Argument(help="Images or folders of images.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    size: Annotated[
        int | None,
        typer.Option(min=0, help="Resize to this side first; default the model's; 0 keeps each image's own."),
    ] = None,
) -> None:
    """Run a model on images; each result is a PNG of the same name."""
    from pocketgan.deploy.translate import translate_images
    from pocketgan.models import find_model

    found = find_model(model)
    with _progress() as progress:
        count = translate_images(found, images, out, size, lambda done, total: progress("translate", done, total))
    print(f"{count} images written to {out}")


@app.command(epilog="Example: pocketgan export runs/demo --format onnx -o model.onnx")
def export(
    model: ModelText,
    format_: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File; default MODEL.onnx here.")] = None,
    size: Size = None,
) -> None:
    """Write a model for the runtimes that serve it, verified against PyTorch."""
    import torch

    from pocketgan.deploy.onnx import export_verified
    from pocketgan.models import find_model

    if format_ not in ("onnx",):
        raise unknown("format", format_, ["onnx"])
    found = find_model(model)
    side = size or found.card.get("size", 256)
    found.spec.check_size(side)
    target = out or Path(f"{Path(model).resolve().name.replace(':', '-')}.onnx")
    probe = torch.rand(2, found.spec.in_channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    difference = export_verified(found.network, side, target, probe)
    print(f"{target}: {target.stat().st_size:,} bytes, largest difference to PyTorch {difference:.1e}")


@app.command(epilog="Example: pocketgan report runs/demo")
def report(run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]) -> None:
    """Measure the latencies of a finished run and write its report again."""
    from pocketgan.recipes.run import report_again

    report_again(run, _command())
    print(run / "report.html")


# -- how things are shown ----------------------------------------------------------------------------------------


def _command() -> str:
    return " ".join(["pocketgan", *sys.argv[1:]])


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


def _table(columns: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _show_plan(recipe: Any, out: Path, device: str, as_json: bool, quiet: bool = False) -> float:
    """Print the stages with what is left of each; returns the seconds left in all."""
    from pocketgan.recipes.estimate import estimate_seconds
    from pocketgan.recipes.run import store_of
    from pocketgan.training.fit import Runtime
    from pocketgan.units import duration_text

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
            _print_json({"recipe": recipe.name, "digest": recipe.digest, "stages": rows, "seconds_left": total})
        return total
    print(
        f"{recipe.name}: {recipe.method}, budget {recipe.budget}, {recipe.task.size} pixels, {recipe.task.split_note}"
    )
    _table(
        ["stage", "status", "time left on this machine"],
        [[r["stage"], r["status"], duration_text(r["seconds_left"]) if r["seconds_left"] else "-"] for r in rows],
    )
    print(f"about {duration_text(total)} in all; it can be stopped at any time and goes on where it stopped")
    return total


def _carry_out(recipe: Any, out: Path, device: str, yes: bool, as_json: bool) -> None:
    from pocketgan.pipeline.store import check_owner
    from pocketgan.recipes.recipe import owner
    from pocketgan.recipes.run import run_recipe
    from pocketgan.training.fit import Runtime
    from pocketgan.units import duration_text

    check_owner(out, owner(recipe))
    seconds = _show_plan(recipe, out, device, as_json, quiet=True)
    if seconds > LONG_HOURS * 3600 and not yes:
        raise SpecError(
            f"this would take about {duration_text(seconds)} here, more than {LONG_HOURS:g} hours; "
            "add --yes to start it all the same, or choose a smaller --effort or --size"
        )
    with _progress() as progress:
        made = run_recipe(
            recipe,
            out,
            Runtime(device=device),
            _command(),
            lambda name, stage, done, total: progress(name, done, total),
        )
    if as_json:
        return print(made.model_dump_json(indent=1))
    from pocketgan.report.summary import summary_lines

    _table(*summary_lines(made))
    print(out / "report.html")


@contextmanager
def _progress() -> Iterator[Any]:
    """Gives a function (name, done, total): a live bar on a terminal, a line now and then elsewhere; on stderr."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bars:
            tasks: dict[str, Any] = {}

            def show(name: str, done: int, total: int) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=None)
                bars.update(tasks[name], completed=done, total=total or None)

            yield show
        return

    import time

    from pocketgan.units import duration_text

    begun: dict[str, tuple[float, int]] = {}
    said: dict[str, float] = {}

    def tell(name: str, done: int, total: int) -> None:
        now = time.monotonic()
        begun.setdefault(name, (now, done))
        if total and (said.setdefault(name, now) + 15 < now or done == total):
            said[name] = now
            start, first = begun[name]
            left = (now - start) / max(1, done - first) * (total - done)
            print(f"{name}: {done} of {total}, {duration_text(left)} left", file=sys.stderr, flush=True)

    yield tell


def main() -> None:
    """Run a command: 0 on success, 2 with one line on the user's mistake or interruption, 1 on ours."""
    # a polite kill is a Ctrl-C: training saves where it stands
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    command = typer.main.get_command(app)
    try:
        # not `app()`, which would turn Ctrl-C into a success
        with command.make_context("pocketgan", sys.argv[1:] or ["--help"]) as context:
            command.invoke(context)
    except KeyboardInterrupt:
        _fail("stopped; run the same command again to go on from here", 2)
    except PocketGANError as error:
        _fail(str(error), error.exit_code)
    except UsageError as error:
        verb = error.ctx.command_path if error.ctx else "pocketgan"
        _fail(f"{error.format_message().replace('Value error, ', '')} (see {verb} --help)", 2)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)


def _fail(text: str, code: int) -> None:
    """End with one line."""
    print("pocketgan:", " ".join(text.splitlines()), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
