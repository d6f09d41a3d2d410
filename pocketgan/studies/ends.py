"""What stem, head and upsampling of a small generator should be, which take most of its time on a processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.recipes.games import PAIRS
from pocketgan.studies.budgets import budgets, widest
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: shares of the dense teacher's MACs: that of the demo's networks
SHARES = {"7 %": 0.07}

PUBLISHED = "as published"
#: fields of the network, by what a reader sees
FORMS: dict[str, dict[str, Any]] = {
    PUBLISHED: {},
    "ends of 5": {"ends": 5},
    "ends of 3": {"ends": 3},
    "resize": {"up": "resize"},
    "shuffle": {"up": "shuffle"},
    "ends of 3, shuffle": {"ends": 3, "up": "shuffle"},
}


def in_forms(
    setting: Setting, shares: Mapping[str, float], base: ResnetSpec, forms: Mapping[str, Mapping[str, Any]]
) -> list[Point]:
    """Networks of as many MACs by the papers' convention, and as long in training; `forms`: by the series, in which
    fields they differ from the base."""
    found = []
    for place, budget in budgets(setting, shares).items():
        for series, fields in forms.items():
            spec = widest(setting, budget, base.model_copy(update=fields))
            training = setting.training(InPlaceTraining, 1.0, f"{series} of {place}", student=spec)
            found.append(Point(series, place, training))
    return found


def points(setting: Setting) -> list[Point]:
    return in_forms(setting, SHARES, setting.dense.mobile.model_copy(update={"input_skip": True}), FORMS)


ENDS = Study(
    name="ends",
    about="On a processor, the 7x7 convolutions that read the image and write the picture and the transposed ones "
    "take most of a small generator's time. Is it worse with smaller kernels there, with nearest resizing and a "
    "convolution, or with a pixel shuffle, at as many MACs by the papers' convention (which charges all three ways "
    "of upsampling alike)? All learn by in-place distillation of one size. Budgets are shares of the dense "
    "teacher's MACs.",
    source="our own question",
    data=PAIRS,
    points=points,
    claims=tuple(Claim(better=form, worse=PUBLISHED) for form in FORMS if form != PUBLISHED),
)
