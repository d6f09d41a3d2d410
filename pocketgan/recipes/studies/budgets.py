"""Budgets as shares of the dense teacher's MACs, and the uniform network that fills one."""

from __future__ import annotations

from collections.abc import Mapping

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.errors import BudgetError
from pocketgan.networks import ResnetSpec
from pocketgan.recipes.studies.setting import Setting
from pocketgan.units import si


def budgets(setting: Setting, shares: Mapping[str, float]) -> dict[str, Budget]:
    """The budgets of these shares, by their names."""
    macs = cost(setting.dense, *setting.task.size)["macs"]
    return {name: Budget(macs=round(share * macs)) for name, share in shares.items()}


def widest(setting: Setting, budget: Budget) -> ResnetSpec:
    """The widest uniform mobile network within a budget of MACs; `BudgetError` where there is none."""
    assert budget.macs is not None
    found = None
    for width in range(1, setting.teacher_width + 1):
        spec = setting.dense.mobile.resized((width,) * len(setting.dense.widths))
        macs = cost(spec, *setting.task.size)["macs"]
        if macs > budget.macs:
            break
        found = spec
    if found is None:
        raise BudgetError(
            f"budget {budget} is below the mobile network of one channel ({si(macs)} MACs); choose a wider teacher"
        )
    return found
