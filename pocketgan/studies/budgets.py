"""Budgets as shares of the dense teacher's MACs, and the uniform network that fills one."""

from __future__ import annotations

from collections.abc import Mapping

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.training import Train
from pocketgan.recipes.imitation import widest as widest_of
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Point

#: shares of the dense teacher's MACs
BUDGETS = {"3 %": 0.031, "1 %": 0.011}


def budgets(setting: Setting, shares: Mapping[str, float]) -> dict[str, Budget]:
    """The budgets of these shares, by their names."""
    macs = cost(setting.dense, *setting.task.size)["macs"]
    return {name: Budget(macs=round(share * macs)) for name, share in shares.items()}


def widest(setting: Setting, budget: Budget, form: ResnetSpec | None = None) -> ResnetSpec:
    """The widest network of equal widths within a budget; `BudgetError` where there is none. `form`: whatever its
    widths, the network; default the mobile form of the teacher's."""
    found = widest_of(form or setting.dense.mobile, budget, setting.task)
    assert isinstance(found, ResnetSpec), "as the teacher is"
    return found


def from_scratch(setting: Setting, shares: Mapping[str, float] = BUDGETS) -> list[Point]:
    """The student as an ordinary generator."""
    return [
        Point(
            "from scratch",
            place,
            setting.training(Train, 1.0, f"scratch of {place}", generator=widest(setting, budget)),
        )
        for place, budget in budgets(setting, shares).items()
    ]
