"""The verb that serves another budget from a finished run: pick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pocketgan.cli.options import Device, Images, Json, Quiet, Weights, read_weights
from pocketgan.cli.show import print_json, say, table
from pocketgan.progress import progress_shown


def pick(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", show_default=False)],
    budget: Annotated[
        str | None,
        typer.Option(help="As of compress; latency=20ms where the run measured that; default: show the front."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="New folder; default beside the run, by the budget.")
    ] = None,
    data: Images = None,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Another budget from a finished run, without training: the best subnet of its supernet within it."""
    from pocketgan.runs.pick import pick as pick_from
    from pocketgan.runs.pick import report_of
    from pocketgan.runtime import Runtime

    if budget is None:
        return show_front(report_of(run, data), as_json)
    runtime = Runtime(device=device, weights=read_weights(weights or []))
    with progress_shown(quiet=quiet) as progress:
        folder, report = pick_from(
            run, budget, out, runtime, lambda name, stage, done, total: progress(name, done, total), data
        )
    if as_json:
        rows = [row.model_dump(mode="json") for row in report.rows]
        return print_json({"budget": budget, "out": str(folder), "split": report.figure_split, "rows": rows})
    from pocketgan.report.summary import side_by_side

    if not quiet:
        table(*side_by_side(report))
    print(folder)


def show_front(report: Any, as_json: bool) -> None:
    """What there is to pick from: the run's non-dominated subnets, cheapest first."""
    from pocketgan.units import number_text, si

    front = report.front()
    if as_json:
        about = report.model_dump(mode="json", include={"metric", "selection_split", "latencies_on"})
        return print_json({**about, "front": [each.model_dump(mode="json") for each in front]})
    timed = any(each.latency_ms is not None for each in front)
    score = f"{report.metric} on {report.selection_split}"
    rows = []
    for each in front:
        latency = "–" if each.latency_ms is None else f"{number_text(each.latency_ms)} ms"
        figures = [si(each.macs), si(each.params), *([latency] if timed else [])]
        figures.append(number_text(each.scores[report.metric]))
        rows.append([each.subnet, *figures, "chosen" if each.chosen else ""])
    table(["subnet", "MACs", "parameters", *(["latency"] if timed else []), score, ""], rows)
    if timed:
        say(f"latencies: median of one image on {report.latencies_on}")
    say(f"the best of {len(report.candidates)} subnets within the run's budget, {report.budget}")
