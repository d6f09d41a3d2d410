"""OMGD and Pocket in a study: students that imitate teachers while these learn.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021, the ResNet students.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.methods.pocket import POCKET
from pocketgan.networks import DeepResnetSpec, ResnetSpec, SharedPatchSpec
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.games import FeatureNetwork, needs_features
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.training import Train
from pocketgan.recipes.channels import spec_with_channels
from pocketgan.search import AnyStrategy, Nsga2
from pocketgan.studies.budgets import widest
from pocketgan.studies.setting import Setting

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
        published |= dict(wide=wide, deep=spec_with_channels(DeepResnetSpec.uniform(width), setting.task))
    if "space" not in fields:
        published["student"] = spec
    given = {**published, **fields}
    if given.get("wide") and given.get("deep"):
        alike = setting.discriminator.model_dump(exclude={"kind"})
        given["discriminator"] = SharedPatchSpec(**alike, heads=2, shared=SHARED)
    if needs_features(given["objective"]):
        given["feature_network"] = FeatureNetwork()
    return setting.training(OnlineDistil, share, pace, **given)


def pocket_space(setting: Setting, within: Iterable[Budget], form: ResnetSpec | None = None) -> SearchSpace:
    """From the widest uniform network within the largest budget to that within the smallest; one option between.
    `form`: whatever its widths, the network; default the mobile form of the teacher's."""
    form = form or setting.dense.mobile
    widths = [max(widest(setting, budget, form).widths) for budget in within]
    options = sorted({max(widths), (max(widths) + min(widths)) // 2, min(widths)}, reverse=True)
    return space_named("_".join(map(str, options)), form)


SEARCH = Nsga2(population=8, generations=3)
#: the share of the time that a Pocket run has taken when it has a front
FRONT = 0.84


def pocket_search(
    setting: Setting, within: Mapping[str, Budget], strategy: AnyStrategy = SEARCH, **fields: Any
) -> Search:
    """One Pocket run for these budgets: a mobile teacher, the supernet that starts from it while it learns on, and
    the search for a front up to the largest budget. `fields`: others of the supernet's than usual."""
    teacher = setting.training(Train, 0.22, "mobile teacher", generator=setting.dense.mobile)
    usual: dict[str, Any] = dict(init=teacher, objective=POCKET, feature_network=FeatureNetwork())
    supernet = setting.training(
        OnlineDistil,
        0.52,
        "pocket",
        **{"teachers": teacher, "space": pocket_space(setting, within.values()), **usual, **fields},
    )
    budget = max(within.values(), key=lambda budget: budget.macs or 0)
    return Search(supernet=supernet, budget=budget, strategy=strategy, seed=setting.seed)
