"""What Pocket's supernet owes to each of its parts."""

from __future__ import annotations

from typing import Any

from pocketgan.elastic.sampling import SandwichSampling
from pocketgan.methods.pocket import POCKET
from pocketgan.pipeline.pick import Pick
from pocketgan.recipes.games import PAIRS
from pocketgan.search import Nsga2
from pocketgan.studies.budgets import BUDGETS, budgets
from pocketgan.studies.online import pocket_search
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: few, as the question is what was learnt
SEARCH = Nsga2(population=8, generations=0)


def _with(**changes: Any) -> dict[str, Any]:
    return {"objective": POCKET.model_copy(update=changes)}


#: what is left out of the supernet's training, or put in
VARIANTS: dict[str, dict[str, Any]] = {
    "Pocket": {},
    "weights from scratch": {"init": None},
    "without the truth": _with(truth=False),
    "without pixels": _with(pixel=0.0),
    "without perceptual terms": {**_with(style=0.0, feature=0.0), "feature_network": None},
    "without channels": _with(channel=0.0),
    "OMGD's learning rate": _with(lr=2e-4),
    "uniform sandwich": _with(sampling=SandwichSampling(random=1)),
    "averaged weights": _with(ema=0.99),
    "finished teacher": _with(n_dis=0),
}


def points(setting: Setting) -> list[Point]:
    within = budgets(setting, BUDGETS)
    return [
        Point(series, place, Pick(search=pocket_search(setting, within, SEARCH, **fields), budget=budget))
        for series, fields in VARIANTS.items()
        for place, budget in within.items()
    ]


POCKET_STUDY = Study(
    name="pocket",
    about="What does Pocket's supernet owe to each of its parts? All supernets start from the same teacher and "
    "learn for equally many steps, not for the same processor time; nothing is tuned after the search. Budgets are "
    "shares of the dense teacher's MACs.",
    source="our own question",
    data=PAIRS,
    points=points,
    claims=tuple(Claim(better="Pocket", worse=series) for series in VARIANTS if series != "Pocket"),
)
