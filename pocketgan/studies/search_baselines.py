"""Strategies of search side by side: on the same trained supernet, within the same budget.

Sources: Li et al., GAN Compression, TPAMI 2022 (exhaustive search and evolution); Zoph & Le, Neural architecture
search with reinforcement learning, ICLR 2017; Deb et al., NSGA-II, 2002; Real et al., Regularized evolution for
image classifier architecture search, AAAI 2019 (random search, reinforcement and evolution side by side).
"""

from __future__ import annotations

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import PAIRS
from pocketgan.search import AnyStrategy, Evolution, Exhaustive, Nsga2, Random, Reinforcement
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: options of the eight widths, for a teacher of 32 channels: few enough to score all that fit the budget
OPTIONS = ((12, 8, 4),) * 2 + ((12, 4),) * 6
PLACE, SHARE = "45 %", 0.45
#: about 48 evaluations each: what evolution proposes twice is scored once, so it proposes more
STRATEGIES: dict[str, AnyStrategy] = {
    "random": Random(candidates=48),
    "evolution": Evolution(population=24, generations=3),
    "NSGA-II": Nsga2(population=12, generations=6),
    "reinforcement": Reinforcement(population=4, generations=11),
    "exhaustive": Exhaustive(),
}


def space(setting: Setting) -> SearchSpace:
    """The supernet's widths, in proportion to the teacher's."""
    scale = setting.teacher_width / 32
    options = tuple(tuple(max(1, round(option * scale)) for option in own) for own in OPTIONS)
    return SearchSpace.over("a small space", setting.dense.mobile, options)


def search_baselines(setting: Setting) -> list[Point]:
    within = space(setting)
    # seeds are those of the searches: supernets differ by more than strategies do
    one = setting.model_copy(update={"seed": 0})
    teacher = one.training(Train, 0.4, "dense teacher", generator=setting.dense)
    supernet = one.training(Distil, 0.5, "supernet", teacher=teacher, space=within)
    model = CostModel(within.spec, *setting.task.size)
    budget = Budget(macs=round(SHARE * model.one(within.spec.widths)["macs"]))
    budget.check(within, model)

    def searched(strategy: AnyStrategy) -> Search:
        # all seeds share the one exhaustive search: it finds the same in any order
        seed = 0 if isinstance(strategy, Exhaustive) else setting.seed
        return Search(supernet=supernet, budget=budget, strategy=strategy, seed=seed)

    return [Point(series, PLACE, searched(strategy)) for series, strategy in STRATEGIES.items()]


SEARCH_BASELINES = Study(
    name="search-baselines",
    about="Which strategy finds the best subnet in the fewest evaluations? All search one trained supernet within "
    "one budget, a share of the largest subnet's MACs, and score some 48 subnets each on the selection split; what "
    "they have scored before is not scored again. The exhaustive search scores all that fit. Seeds are those of "
    "the searches.",
    source="Li et al., GAN Compression, TPAMI 2022; Zoph & Le, ICLR 2017; Real et al., AAAI 2019: search compared "
    "with random search",
    points=search_baselines,
    claims=(
        Claim(better="evolution", worse="random"),
        Claim(better="reinforcement", worse="random"),
        Claim(better="evolution", worse="reinforcement"),
    ),
    data=PAIRS,
)
