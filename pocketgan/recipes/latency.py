"""A bound on the latency: on which runtime, and whether anything can be within it."""

from __future__ import annotations

from pocketgan.deploy.runtimes import Serving
from pocketgan.elastic.budget import Budget
from pocketgan.errors import BudgetError
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.store import Store

#: where the latency is bounded unless the user says so
USUAL_RUNTIME = "onnxruntime:1"


def budget_of(text: str | float, runtime: str | None = None) -> Budget:
    """The budget that a user asks of a run, a bound on the latency with its runtime, as 'onnxruntime:1'.

    Raises `BudgetError` for what cannot be read, `SpecError` for a runtime that is not here.
    """
    budget = Budget.parse(text, runtime)
    if budget.latency_ms is None:
        return budget
    return budget.model_copy(update={"runtime": str(Serving.of_files(runtime or USUAL_RUNTIME))})


def check_latency(recipe: Recipe, store: Store) -> None:
    """Raise `BudgetError`, before anything is trained, where no subnet can be within the budget's latency, or the
    method has no search that obeys it."""
    if recipe.budget.latency_ms is None:
        return
    if recipe.search is None or recipe.search.latency is None:
        raise BudgetError(
            f"budget {recipe.budget} bounds the latency, and {recipe.method} searches nothing; bound macs, or "
            "choose a --method that searches, as fast-gan-compression"
        )
    recipe.search.latency.check(recipe.search.budget, store)
