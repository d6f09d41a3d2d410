"""Whether a generator should see each pixel's own colour again in front of tanh, where its norms forget levels."""

from __future__ import annotations

from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.recipes.games import PAIRS
from pocketgan.studies.budgets import BUDGETS, budgets, widest
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

WITH, WITHOUT = "with the image's own colours", "as published"


def points(setting: Setting) -> list[Point]:
    """Networks of one size, alike but for the skip, and as long in training."""
    found = []
    for place, budget in budgets(setting, BUDGETS).items():
        spec = widest(setting, budget)
        for series, own in ((WITHOUT, spec), (WITH, spec.model_copy(update={"input_skip": True}))):
            training = setting.training(InPlaceTraining, 1.0, f"{series} of {place}", student=own)
            found.append(Point(series, place, training))
    return found


INPUT_SKIP = Study(
    name="input-skip",
    about="Instance norm removes the level of a flat area. Is a small generator better to which the image's own "
    "colours are shown once more, pixel by pixel, in front of tanh (`input_skip`)? Both learn by in-place "
    "distillation of one size, as long as each other. Budgets are shares of the dense teacher's MACs.",
    source="our own question",
    data=PAIRS,
    points=points,
    claims=(Claim(better=WITH, worse=WITHOUT),),
)
