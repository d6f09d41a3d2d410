"""OMGD in a study: a student that imitates a wide and a deep teacher while they learn.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021, the ResNet students.
"""

from __future__ import annotations

from typing import Any

from pocketgan.networks import DeepResnetSpec, ResnetSpec, SharedPatchSpec
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.games import Sight, needs_sight
from pocketgan.pipeline.stages import OnlineDistil
from pocketgan.recipes.studies.setting import Setting

#: the width of the wide teacher, in widths of the student; the deep one is as wide as the student
WIDER = 4
#: convolutions of the discriminator that both teachers share
SHARED = 3


def omgd_student(setting: Setting, spec: ResnetSpec, share: float, pace: str, **fields: Any) -> OnlineDistil:
    """A student of pairs, with networks and weights as published, in a share of the time (see `Setting.training`).

    Args:
        spec: the student, of equal widths everywhere.
        fields: the stage's own, in the place of the published ones: `wide=None` or `deep=None` leaves out a
            teacher, `teachers` brings those of a finished stage, `space` makes the student a supernet.
    """
    width = max(spec.widths)
    published: dict[str, Any] = dict(objective=OnlineSettings())
    if "teachers" not in fields:
        wide = spec.resized((WIDER * width,) * len(spec.widths))
        published |= dict(wide=wide, deep=DeepResnetSpec.uniform(width))
    if "space" not in fields:
        published["student"] = spec
    given = {**published, **fields}
    if given.get("wide") and given.get("deep"):
        alike = setting.judge.model_dump(exclude={"kind"})
        given["discriminator"] = SharedPatchSpec(**alike, heads=2, shared=SHARED)
    if needs_sight(given["objective"]):
        given["sight"] = Sight()
    return setting.training(OnlineDistil, share, pace, **given)
