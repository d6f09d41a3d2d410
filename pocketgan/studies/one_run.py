"""One Pocket run for all budgets against a run for each, at equal processor time in all."""

from __future__ import annotations

import numpy as np

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import PAIRS
from pocketgan.studies.budgets import budgets
from pocketgan.studies.online import FRONT as SPENT
from pocketgan.studies.online import omgd_student, pocket_search
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: shares of the dense teacher's MACs, from the cheapest subnet to the largest in equal steps of their logarithm
SHARES = {f"{100 * share:.2g} %": float(share) for share in np.geomspace(0.011, 0.031, 8)}


def largest_within(setting: Setting, space: SearchSpace, budget: Budget) -> ResnetSpec:
    """The network of a space with the most MACs within the budget."""
    genomes = space.genomes(np.arange(space.size))
    model = CostModel(space.spec, *setting.task.size)
    costs = model(space.all_widths(genomes))
    best = int(np.where(budget.admits(costs), costs.macs, -1).argmax())
    return setting.dense.mobile.resized(space.widths(tuple(map(int, genomes[best]))))


def points(setting: Setting) -> list[Point]:
    within = budgets(setting, SHARES)
    search = pocket_search(setting, within)
    share = SPENT / len(within)
    found = []
    for place, budget in within.items():
        spec = largest_within(setting, search.space, budget)
        found += [
            Point("Pocket, one run", place, Pick(search=search, budget=budget)),
            Point("OMGD, a run a budget", place, omgd_student(setting, spec, share, "omgd 8")),
            Point("scratch, a run a budget", place, setting.training(Train, share, "scratch", generator=spec)),
        ]
    return found


FRONT = Study(
    name="one-run",
    about="Is one Pocket run for eight budgets worth eight runs of their own? All runs for single budgets together "
    "have the processor time of the one; their students are the largest networks of Pocket's space within each "
    "budget. Budgets are shares of the dense teacher's MACs.",
    source="our own question",
    data=PAIRS,
    points=points,
    claims=(
        Claim(better="Pocket, one run", worse="OMGD, a run a budget"),
        Claim(better="Pocket, one run", worse="scratch, a run a budget"),
    ),
)
