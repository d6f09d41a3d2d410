"""Another budget from a finished run: its supernet and what its search scored serve every budget, untrained.

The run's store gains the stages of a pick; everything else in its folder stays as it is.
"""

from __future__ import annotations

import math
import re
import shutil
from functools import partial
from pathlib import Path

from pocketgan.deploy.card import beside
from pocketgan.deploy.latency import latencies, where
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.elastic.budget import Budget
from pocketgan.errors import OutputError, SpecError
from pocketgan.files import replacing
from pocketgan.pipeline.export import Export
from pocketgan.pipeline.owner import claim
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.recipe import Recipe, read_recipe
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.store import Store, writing
from pocketgan.report import Report
from pocketgan.runs.report import read_report, row_of
from pocketgan.runs.run import Watch, export_of, finished_recipe, owner_of, store_of
from pocketgan.runtime import Runtime


def search_of(run: Path, data: Path | None = None) -> tuple[Recipe, Search]:
    """The recipe of a finished run, and its search.

    Raises `DataError` for a folder that is no run, or one that is not finished; `SpecError` without a search.
    """
    recipe = read_recipe(run, data)
    if recipe.search is None:
        raise SpecError(
            f"{run} has no supernet to pick from, as {recipe.method} trains networks of one size; "
            "pick from a run of another method"
        )
    return finished_recipe(run, data), recipe.search


def report_of(run: Path, data: Path | None = None) -> Report:
    """The report of a finished run with a search: its `front()` is what there is to pick from.

    Raises what `search_of` does, and `DataError` where there is no report.
    """
    search_of(run, data)
    return read_report(run)


def pick(
    run: Path, text: str, out: Path | None, runtime: Runtime, watch: Watch, data: Path | None = None
) -> tuple[Path, Report]:
    """The best subnet within the budget `text`: into `out` its `model/` and `export/compressed.onnx`, and the run's
    report with a row `pick` more, the latencies of all rows measured side by side.

    Within the run's own budget it is the best that was scored; a budget beyond that is searched first.

    `out`: default beside the run, by the budget. Raises besides what `report_of` does:
        BudgetError: the budget cannot be read, or no subnet that was scored is within it.
        SpecError: a bound on the latency, which this run did not measure.
        OutputError: `out` is no folder, is not empty or cannot be written.
    """
    report, (recipe, search), store = report_of(run, data), search_of(run, data), store_of(run)
    budget = Budget.parse(text)
    if budget.latency_ms is not None and search.latency:
        budget = budget.model_copy(update={"runtime": search.latency.runtime})
    by_front = budget.latency_ms is not None and not search.latency
    if wider := not by_front and exceeds(budget, search.budget):
        search = search.model_copy(update={"budget": budget})
    chosen = pick_of(recipe, search, budget)
    if not wider:
        result, milliseconds = search.load(store.artifact(search)), None
        if measured := chosen.front_latency:
            milliseconds = measured.load(store.artifact(measured)).latencies
        elif chosen.latency_ms is not None and search.latency:
            model = search.latency.load(store.artifact(search.latency)).model
            milliseconds = search.milliseconds([one.genome for one in result.candidates], model)
        chosen.choose(result, milliseconds)
    out = out or run.resolve().with_name(f"{run.resolve().name}-{re.sub(r'[^a-zA-Z0-9.]+', '-', text)}")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is no folder; choose another --out")
    if out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} is not empty; choose another --out")
    with claim(run, owner_of(recipe, run, store)):
        stages: dict[str, Stage] = {
            **({"search": search} if wider else {}),
            "subnet": chosen,
            "export of the subnet": Export(network=chosen, task=recipe.task),
            "scores of the subnet": recipe.scores(chosen),
        }
        for name, stage in stages.items():
            watch(name, stage, 0, 0)
            store.realise(stage, runtime, partial(watch, name))
        with writing(out):
            _leave(store, recipe, chosen, out)
        return out, _with_pick(report, recipe, store, chosen)


def exceeds(budget: Budget, other: Budget) -> bool:
    """Whether a budget allows more than another one of something that both bound."""
    slower = (budget.latency_ms or 0.0) > (other.latency_ms or math.inf)
    return slower or any(budget.bounds.get(name, 0) > bound for name, bound in other.bounds.items())


def pick_of(recipe: Recipe, search: Search, budget: Budget) -> Pick:
    """The stage that picks. Raises `SpecError` for a bound on what was not measured."""
    if budget.latency_ms is None or search.latency:
        return Pick(search=search, budget=budget)
    if recipe.front_latency is None:
        raise SpecError("this run did not measure the latencies of its front; bound macs, true_macs or params")
    return Pick(search=search, budget=budget, front_latency=recipe.front_latency)


def _leave(store: Store, recipe: Recipe, chosen: Pick, out: Path) -> None:
    """Put what the user takes away into a new or empty folder, as a whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as part:
        shutil.copytree(store.artifact(chosen) / "model", part / "model")
        (part / "export").mkdir()
        file = export_of(recipe, store, chosen)
        copy = part / "export" / f"compressed{file.suffix}"
        shutil.copyfile(file, copy)
        if beside(file).exists():  # exports of earlier versions have none
            shutil.copyfile(beside(file), beside(copy))


def _with_pick(report: Report, recipe: Recipe, store: Store, chosen: Pick) -> Report:
    networks = {**recipe.networks, "pick": chosen}
    files = [export_of(recipe, store, network) for network in networks.values()]
    measured = latencies(runtime_named("onnxruntime"), files, recipe.task.size)
    rows = [
        row_of(recipe, store, name, network, latency, where(measured))
        for (name, network), latency in zip(networks.items(), measured, strict=True)
    ]
    return report.model_copy(update={"rows": tuple(rows)})
