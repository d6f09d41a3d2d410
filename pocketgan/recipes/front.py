"""Another budget from a finished run: its supernet and what its search scored serve every budget, untrained.

The run's store gains the stages of a pick; everything else in its folder stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from pocketgan.deploy.latency import compare_onnx
from pocketgan.elastic.budget import Budget
from pocketgan.errors import BudgetError, DataError, OutputError, SpecError
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import Export, Front, Pick, Search
from pocketgan.pipeline.store import Store, claim, writing
from pocketgan.recipes.recipe import Recipe, owner, read_recipe
from pocketgan.recipes.run import Watch, finished_recipe, row_of, store_of
from pocketgan.report import Report
from pocketgan.runtime import Runtime

LATENCY = "latency_ms"


class Bounds(NamedTuple):
    """What a pick may cost: a budget, and milliseconds an image."""

    budget: Budget
    latency_ms: float | None = None

    @classmethod
    def parse(cls, text: str) -> Bounds:
        """What `Budget.parse` reads, and `latency_ms=12.5`. Raises `BudgetError`."""
        parts = text.split(",")
        latencies = [part for part in parts if part.strip().startswith(f"{LATENCY}=")]
        if not latencies:
            return cls(Budget.parse(text))
        number = latencies[0].partition("=")[2].strip()
        if len(latencies) > 1:
            raise BudgetError(f"budget '{text}' bounds '{LATENCY}' twice; give it once")
        if not re.fullmatch(r"\d+\.?\d*|\.\d+", number, re.ASCII) or not float(number):
            raise BudgetError(f"budget '{text}' cannot be read; write milliseconds, as {LATENCY}=12.5")
        rest = [part for part in parts if part not in latencies]
        return cls(Budget.parse(",".join(rest)) if rest else Budget(), float(number))


def searched(run: Path) -> tuple[Recipe, Search]:
    """The recipe of a finished run, and its search.

    Raises `DataError` for a folder that is no run, or one that is not finished; `SpecError` without a search.
    """
    recipe = read_recipe(run)
    if recipe.search is None:
        raise SpecError(
            f"{run} has no supernet to pick from, as {recipe.method} trains networks of one size; "
            "pick from a run of another method"
        )
    return finished_recipe(run), recipe.search


def report_of(run: Path) -> Report:
    """The report of a finished run with a search: its `front()` is what there is to pick from.

    Raises what `searched` does, and `DataError` where there is no report.
    """
    searched(run)
    try:
        return Report.model_validate_json((run / "report.json").read_text())
    except FileNotFoundError:
        raise DataError(f"{run} has no report.json; write it with `pocketgan report {run}`") from None
    except ValidationError as error:
        raise DataError(f"{run}/report.json is damaged; write it with `pocketgan report {run}`") from error


def pick(run: Path, text: str, out: Path | None, runtime: Runtime, watch: Watch) -> tuple[Path, Report]:
    """The best subnet within the budget `text`: into `out` its `model/` and `export/compressed.onnx`, and the run's
    report with a row `pick` more, the latencies of all rows measured side by side.

    Within the run's own budget it is the best that was scored; a budget beyond that is searched first.

    `out`: default beside the run, by the budget. Raises besides what `report_of` does:
        BudgetError: the budget cannot be read, or no subnet that was scored is within it.
        SpecError: a bound on the latency, which this run did not measure.
        OutputError: `out` is no folder, is not empty or cannot be written.
    """
    report, (recipe, search), store = report_of(run), searched(run), store_of(run)
    bounds = Bounds.parse(text)
    if wider := bounds.latency_ms is None and exceeds(bounds.budget, search.budget):
        search = search.model_copy(update={"budget": bounds.budget})
    chosen = pick_of(search, recipe.front, bounds)
    measured = chosen.front.load(store.artifact(chosen.front)).latencies if chosen.front else None
    if not wider:
        chosen.choose(search.load(store.artifact(search)), measured)
    out = out or run.resolve().with_name(f"{run.resolve().name}-{re.sub(r'[^a-zA-Z0-9.]+', '-', text)}")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is no folder; choose another --out")
    if out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} is not empty; choose another --out")
    with claim(run, owner(recipe)):
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
    return any(budget.bounds.get(name, 0) > bound for name, bound in other.bounds.items())


def pick_of(search: Search, front: Front | None, bounds: Bounds) -> Pick:
    """The stage that picks. Raises `SpecError` for a bound on what was not measured."""
    if bounds.latency_ms is None:
        return Pick(search=search, budget=bounds.budget)
    if front is None:
        raise SpecError("this run did not measure the latencies of its front; bound macs, true_macs or params")
    return Pick(search=search, budget=bounds.budget, front=front, latency_ms=bounds.latency_ms)


def _leave(store: Store, recipe: Recipe, chosen: Pick, out: Path) -> None:
    """Put what the user takes away into a new or empty folder, as a whole."""
    unfinished = out.with_name(out.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(store.artifact(chosen) / "model", unfinished / "model")
    (unfinished / "export").mkdir()
    shutil.copyfile(_onnx(store, recipe, chosen), unfinished / "export" / "compressed.onnx")
    os.replace(unfinished, out)


def _with_pick(report: Report, recipe: Recipe, store: Store, chosen: Pick) -> Report:
    networks = {**recipe.networks, "pick": chosen}
    files = [_onnx(store, recipe, network) for network in networks.values()]
    latencies = compare_onnx(files, recipe.task.size, threads=1)
    rows = [
        row_of(recipe, store, name, network, latency)
        for (name, network), latency in zip(networks.items(), latencies, strict=True)
    ]
    return report.model_copy(update={"rows": tuple(rows)})


def _onnx(store: Store, recipe: Recipe, network: Any) -> Path:
    return store.artifact(Export(network=network, task=recipe.task)) / "model.onnx"
