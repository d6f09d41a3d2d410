"""What a small student needs of its teacher: weights, features, the discriminator, or a search for its widths.

Source: Li et al., GAN Compression, CVPR 2020, sections 3.1 and 4 (trade-off curves and ablation).
"""

from __future__ import annotations

from typing import Any

from pocketgan.elastic.budget import Budget
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import PAIRS
from pocketgan.studies.budgets import BUDGETS, budgets, from_scratch, widest
from pocketgan.studies.methods import gan_compression, mobile_teacher
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: the budgets of the trade-off curve: shares of the dense teacher's MACs
CURVE = {"6 %": 0.061, **BUDGETS}
#: the share of the time that the teacher leaves to its student
STUDENT = 0.66


def student(
    setting: Setting,
    place: str,
    budget: Budget,
    *,
    pruned: bool = True,
    features: bool = True,
    inherited: bool = True,
) -> Distil:
    """The widest uniform student within a budget, in the time that its teacher leaves.

    Args:
        pruned: whether it begins with the teacher's most important channels, else with fresh weights.
        features: whether it learns from the teacher's intermediate layers.
        inherited: whether it plays against the teacher's discriminator, else against a fresh one.
    """
    teacher = mobile_teacher(setting)
    given: dict[str, Any] = {}
    if pruned:
        given["init"] = teacher
    if inherited:
        given["inherited"] = teacher
    if not features:
        given["objective"] = setting.distilling.model_copy(update={"distil": 0.0})
    # one pace for all variants: they differ in what they are taught, not in how often
    return setting.training(
        Distil, STUDENT, f"student of {place}", teacher=teacher, student=widest(setting, budget), **given
    )


def alone(setting: Setting, place: str, budget: Budget) -> Train:
    """The same network without a teacher, for as many epochs as a student; that takes less time."""
    return setting.training(Train, STUDENT, f"student of {place}", generator=widest(setting, budget))


def _series(setting: Setting, shares: dict[str, float], variants: dict[str, dict[str, bool]]) -> list[Point]:
    return [
        Point(series, place, student(setting, place, budget, **variant))
        for series, variant in variants.items()
        for place, budget in budgets(setting, shares).items()
    ]


EQUAL_STEPS = "from scratch, a student's steps"


def trade_off(setting: Setting) -> list[Point]:
    variants = {
        "pruning": dict(features=False),
        "distillation": dict(pruned=False),
        "pruning + distillation": {},
    }
    taught = _series(setting, CURVE, variants)
    untaught = [Point(EQUAL_STEPS, place, alone(setting, place, b)) for place, b in budgets(setting, CURVE).items()]
    searched = [point._replace(series="supernet + search") for point in gan_compression(setting, CURVE)]
    return [*from_scratch(setting, CURVE), *taught, *searched, *untaught]


def discriminators(setting: Setting) -> list[Point]:
    variants = {"teacher's discriminator": {}, "fresh discriminator": dict(inherited=False)}
    return _series(setting, BUDGETS, variants)


def intermediate(setting: Setting) -> list[Point]:
    return _series(setting, BUDGETS, {"intermediate features": {}, "outputs only": dict(features=False)})


TRADE_OFF = Study(
    name="trade-off",
    about="What does each part of GAN Compression add as the budget shrinks? Every contestant has the same "
    "processor time, its teacher and its search included. Pruning begins with the teacher's most important "
    "channels and learns from pairs alone; distillation learns from the teacher's features too. Besides, "
    "from scratch for no more steps than these students have, as in the paper, which does not count the teacher's.",
    source="Li et al., GAN Compression, CVPR 2020, section 4: the trade-off curves",
    points=trade_off,
    claims=(
        # "for larger models", says the paper, and poorly when a model is shrunk aggressively
        Claim(better="pruning + distillation", worse="from scratch", places=("6 %",)),
        Claim(better="pruning + distillation", worse=EQUAL_STEPS, places=("6 %",)),
        Claim(better="pruning + distillation", worse="pruning"),
        Claim(better="pruning + distillation", worse="distillation"),
        Claim(better="supernet + search", worse="from scratch"),
        Claim(better="supernet + search", worse="pruning + distillation"),
    ),
    data=PAIRS,
)

DISCRIMINATORS = Study(
    name="inherited-discriminator",
    about="Should a student play against its teacher's discriminator or a fresh one? Both students begin with the "
    "teacher's most important channels and have as many epochs.",
    source="Li et al., GAN Compression, CVPR 2020, section 4: ablation",
    points=discriminators,
    claims=(Claim(better="teacher's discriminator", worse="fresh discriminator"),),
)

INTERMEDIATE = Study(
    name="intermediate-features",
    about="Do the teacher's intermediate layers teach more than the images alone? Both students begin with the "
    "teacher's most important channels, play against its discriminator and have as many epochs.",
    source="Li et al., GAN Compression, CVPR 2020, section 4: ablation",
    points=intermediate,
    claims=(Claim(better="intermediate features", worse="outputs only"),),
)
