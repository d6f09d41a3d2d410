"""Without pairs: a small CycleGAN, or a student that learns from the pairs that a large CycleGAN makes.

Source: Li et al., GAN Compression, CVPR 2020, sections 3.1 and 4 (unpaired to paired).
"""

from __future__ import annotations

from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import UNPAIRED
from pocketgan.studies.budgets import budgets, widest
from pocketgan.studies.setting import Setting
from pocketgan.studies.students import CURVE
from pocketgan.studies.study import Claim, Point, Study


def pseudo_pairs(setting: Setting) -> list[Point]:
    teacher = setting.training(Train, 0.6, "teacher", generator=setting.dense.mobile)
    points = []
    for place, budget in budgets(setting, CURVE).items():
        small = widest(setting, budget)
        alone = setting.training(Train, 1.0, f"CycleGAN of {place}", generator=small)
        taught = setting.training(
            Distil, 0.38, f"student of {place}", teacher=teacher, student=small, init=teacher, inherited=teacher
        )
        points += [Point("unpaired training", place, alone), Point("pseudo pairs", place, taught)]
    return points


PSEUDO_PAIRS = Study(
    name="pseudo-pairs",
    about="Without pairs, is a small generator better trained as a CycleGAN, or as a student on the pairs that a "
    "large CycleGAN makes? Both have the same processor time, the teacher included.",
    source="Li et al., GAN Compression, CVPR 2020, section 4: unpaired to paired",
    points=pseudo_pairs,
    claims=(Claim(better="pseudo pairs", worse="unpaired training"),),
    data=UNPAIRED,
)
