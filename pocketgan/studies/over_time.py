"""Quality against processor time: where the curves of methods cross, if they do."""

from __future__ import annotations

from pocketgan.recipes.games import PAIRS
from pocketgan.studies.budgets import BUDGETS, from_scratch
from pocketgan.studies.in_place import FASTER, faster, in_place
from pocketgan.studies.methods import fast_gan_compression
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: parts and multiples of the study's processor time
TIMES = {"1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0, "4": 4.0, "8": 8.0}
SMALL = {"1 %": BUDGETS["1 %"]}


def points(setting: Setting) -> list[Point]:
    """Every contestant is trained anew for each time, as learning rates fall towards its end."""
    return [
        Point(point.series, f"{name} x", point.network)
        for name, share in TIMES.items()
        for method in (from_scratch, faster, fast_gan_compression, in_place)
        for point in method(setting.model_copy(update={"seconds": share * setting.seconds}), SMALL)
    ]


OVER_TIME = Study(
    name="over-time",
    about="Which method is ahead after how much processor time? A quarter to eight times the time of the study, "
    "teachers and searches included, at one budget: 1 % of the dense teacher's MACs.",
    source="our own question",
    data=PAIRS,
    points=points,
    claims=tuple(
        Claim(better="in-place", worse=worse) for worse in ("from scratch", FASTER, "Fast GAN Compression")
    ),
    axis="place",
)
