"""OMGD taken apart: its teachers, when they learn, and each term of the student's loss.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021, section 4: ablations.
"""

from __future__ import annotations

from typing import Any

from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import PAIRS
from pocketgan.studies.budgets import BUDGETS, budgets, widest
from pocketgan.studies.online import omgd_student
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

PLACE = "3 %"
#: one pace, that of the whole game, which comes first: as many epochs for all
PACE = "student"
#: by series: the weight that is 0
TERMS = {
    "no channel distillation": "channel",
    "no SSIM": "ssim",
    "no style": "style",
    "no feature": "feature",
    "no TV": "total_variation",
}


def omgd(setting: Setting) -> list[Point]:
    spec = widest(setting, budgets(setting, BUDGETS)[PLACE])

    def student(fields: dict[str, Any]) -> OnlineDistil:
        return omgd_student(setting, spec, 1.0, PACE, **fields)

    whole = student({})
    variants: dict[str, dict[str, Any]] = {
        "offline": dict(teachers=whole, objective=without("n_dis")),
        "wide only": dict(deep=None),
        "deep only": dict(wide=None, objective=without("channel")),
        **{series: dict(objective=without(term)) for series, term in TERMS.items()},
    }
    return [
        Point("OMGD", PLACE, whole),
        *(Point(series, PLACE, student(fields)) for series, fields in variants.items()),
        Point("from scratch", PLACE, setting.training(Train, 1.0, PACE, generator=spec)),
    ]


def without(field: str) -> OnlineSettings:
    """The published game with one number at 0."""
    return OnlineSettings.model_validate({field: 0})


OMGD = Study(
    name="omgd",
    about="What does each part of OMGD add? The same student learns for as many epochs each time: from a wide and "
    "a deep teacher while they learn, from the same two when they have finished (offline), from one of them, "
    "without channel distillation or one term of the loss, or from the pairs themselves. So steps "
    "are equal, and processor time is not: the offline student's includes that of the run that left its teachers.",
    source="Ren et al., Online Multi-Granularity Distillation for GAN Compression, ICCV 2021, section 4: ablations",
    points=omgd,
    claims=tuple(
        Claim(better="OMGD", worse=worse) for worse in ("from scratch", "offline", "wide only", "deep only", *TERMS)
    ),
    axis="place",
    data=PAIRS,
)
