"""A bound on the latency in the recipes of every method: the latency model comes first and the search obeys it."""

from pathlib import Path
from typing import Any

import pytest

from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import BudgetError
from pocketgan.methods import method_named
from pocketgan.pipeline.store import Store
from pocketgan.recipes.games import GAMES
from pocketgan.recipes.latency import budget_of, check_latency
from pocketgan.recipes.method import Wish

BUDGET = Budget(latency_ms=20, runtime="onnxruntime:1")


@pytest.fixture(scope="module")
def task(pairs: Path) -> Task:
    return open_task(pairs, size=24)


def recipe(task: Task, method: str, budget: Budget) -> Any:
    wish = Wish(effort="quick", task=task, game=GAMES["pix2pix"], budget=budget)
    return method_named(method)(wish).recipe("toy", task, budget)


@pytest.mark.parametrize(
    "method", ["gan-compression", "fast-gan-compression", "once-for-all", "pocket", "in-place"]
)
def test_every_method_that_searches(task: Task, method: str):
    made = recipe(task, method, BUDGET)
    model = made.search.latency
    assert next(iter(made.all_stages.items())) == ("latency model", model)
    assert (model.space, model.size, model.runtime) == (made.search.space, (24, 24), "onnxruntime:1")
    assert model in made.search.inputs()
    assert made.picked.latency_ms == 20
    other = recipe(task, method, BUDGET.model_copy(update={"latency_ms": 30.0}))
    assert other.search.latency == model, "another bound needs no other model"
    assert other.search != made.search
    served = recipe(task, method, BUDGET.model_copy(update={"runtime": "openvino:2"}))
    assert served["export for openvino"].network == served.result
    assert made.served is None
    assert "latency model" not in recipe(task, method, Budget(macs=10**9)).all_stages


@pytest.mark.parametrize(("method", "widest"), [("pocket", 32), ("in-place", 48)])
def test_a_space_that_no_macs_bound_is_wider(task: Task, method: str, widest: int):
    """From which milliseconds choose; with MACs beside them it ends near these."""
    options = recipe(task, method, BUDGET).search.space.choices[0].options
    assert options == (widest, widest * 3 // 4, widest // 2, widest // 4)
    both = recipe(task, method, BUDGET.model_copy(update={"macs": 3 * 10**6})).search.space.choices[0].options
    assert both[0] < widest
    assert len(both) <= 3


def test_a_method_without_a_search(task: Task, tmp_path: Path):
    with pytest.raises(BudgetError, match="bounds the latency, and omgd searches nothing; bound macs, or choose a"):
        check_latency(recipe(task, "omgd", BUDGET), Store(tmp_path))
    check_latency(recipe(task, "omgd", Budget(macs=10**9)), Store(tmp_path))


def test_the_usual_runtime():
    assert budget_of("latency=20ms") == BUDGET
    assert budget_of("1G,latency=20ms", "onnxruntime:2").runtime == "onnxruntime:2"
    assert budget_of("latency=20ms", "onnxruntime") == BUDGET
    assert budget_of("1G") == Budget(macs=10**9)
