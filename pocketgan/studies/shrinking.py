"""How to train a supernet of elastic kernels, depth and widths: all at once, or shrinking phase by phase.

Source: Cai et al., Once-for-All, ICLR 2020, sections 3.3 and 4.1 (with and without progressive shrinking).
"""

from __future__ import annotations

from collections.abc import Mapping

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.shrinking import shrinking
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.training import Train
from pocketgan.recipes.shrinking import progressive_shrinking
from pocketgan.search import Nsga2
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: options of every width, for a teacher of 32 channels
OPTIONS = (12, 8, 4)
FURTHER = "depth=9_6,kernel=5_3"
#: the budgets, the largest first: shares of the largest network's MACs
FRONT: Mapping[str, float] = {"80 %": 0.8, "55 %": 0.55, "40 %": 0.4, "30 %": 0.3}
SEARCH = Nsga2(population=16, generations=3)
#: of the time: for the largest network, and for a supernet that learns from it
LARGEST, SUPERNET = 0.3, 0.6


def space(setting: Setting) -> SearchSpace:
    """Kernels, depth, and widths in proportion to the teacher's."""
    options = dict.fromkeys(max(1, round(option * setting.teacher_width / 32)) for option in OPTIONS)
    return space_named(f"{'_'.join(map(str, options))},{FURTHER}", setting.dense.mobile)


def progressive(setting: Setting, within: SearchSpace, largest: Train) -> Distil:
    """The supernet that shrinks, each phase in an equal part of the time: large subnets get fewer epochs."""
    phases = shrinking(within)
    schedules = [
        setting.training(
            Distil, SUPERNET / len(phases), f"phase {number}", teacher=largest, space=subspace
        ).schedule
        for number, subspace in enumerate(phases, 1)
    ]
    stages = progressive_shrinking(
        within,
        schedules,
        largest,
        largest,
        teacher=largest,
        task=setting.task,
        discriminator=setting.discriminator,
        objective=setting.distilling,
        seed=setting.seed,
        precision=setting.precision,
    )
    supernet = stages["supernet"]
    assert isinstance(supernet, Distil)
    return supernet


def progressive_or_plain(setting: Setting) -> list[Point]:
    within = space(setting)
    largest = setting.training(Train, LARGEST, "largest", generator=within.spec)

    def plain(**given: Train) -> Distil:
        return setting.training(Distil, SUPERNET, "supernet", teacher=largest, space=within, **given)

    supernets = {
        "progressive shrinking": progressive(setting, within, largest),
        "plain sampling": plain(),
        # what shrinking adds to the inheritance with which it begins
        "plain sampling from the largest": plain(init=largest, inherited=largest),
    }
    model = CostModel(within.spec, *setting.task.size)
    most = model.one(within.spec.widths)["macs"]
    front = {place: Budget(macs=round(share * most)) for place, share in FRONT.items()}
    for budget in front.values():
        budget.check(within, model)
    first, *_ = front.values()
    points = []
    for series, supernet in supernets.items():
        # one search for all budgets, which keeps the best at every cost
        search = Search(supernet=supernet, budget=first, strategy=SEARCH, seed=setting.seed)
        points += [Point(series, place, Pick(search=search, budget=budget)) for place, budget in front.items()]
    return points


PROGRESSIVE_SHRINKING = Study(
    name="progressive-shrinking",
    about="Does a supernet of elastic kernels, depth and widths learn better when it shrinks phase by phase than "
    "when all its subnets are drawn from the start, with fresh weights or with those of the largest network? All "
    "learn from the same largest network, trained first, for the same processor time; one search gives the front "
    "of each, of which the best within each budget is scored. Budgets are shares of the largest network's MACs.",
    source="Cai et al., Once-for-All, ICLR 2020, section 4.1: progressive shrinking",
    points=progressive_or_plain,
    claims=(
        Claim(better="progressive shrinking", worse="plain sampling"),
        Claim(better="progressive shrinking", worse="plain sampling from the largest"),
    ),
)
