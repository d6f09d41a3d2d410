"""In-place distillation against training from scratch: the one comparison that a compressor must not lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocketgan.methods.in_place import FORM, MARGIN, UNPAIRED_FORM
from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import PAIRS
from pocketgan.search import Nsga2
from pocketgan.studies.budgets import BUDGETS, budgets, from_scratch, widest
from pocketgan.studies.one_run import SHARES, largest_within
from pocketgan.studies.online import SEARCH as FRONT_SEARCH
from pocketgan.studies.online import pocket_space
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

#: few, as so few images tell little
SEARCH = Nsga2(population=8, generations=0)
#: the shares of the time of the supernet and of the subnet that goes on alone; the search has the rest
SUPERNET, TUNING = 0.35, 0.6
#: what sets the network of the method apart from the mobile one of the papers
OF_FORM = ("input_skip", "ends", "norm", "separable_norm", "padding")
FASTER, ONE_SIZE = "from scratch, faster", "in-place, one size"
OWN_FORM = "from scratch, faster, form of in-place"
#: the share of the time of a supernet whose subnets are taken as they are
FRONT = 0.95
ONE_RUN, A_RUN_EACH, FASTER_EACH = "in-place, one run", "scratch, a run a budget", "scratch, faster, a run a budget"


def form(setting: Setting) -> ResnetSpec:
    """The network of the method, whatever its widths."""
    of_method = FORM if setting.task.paired else UNPAIRED_FORM
    own: ResnetSpec = setting.dense.mobile.model_copy(update={name: getattr(of_method, name) for name in OF_FORM})
    return own


def in_place(setting: Setting, shares: Mapping[str, float] = BUDGETS) -> list[Point]:
    """One supernet and one search for all budgets, and a subnet of each that goes on alone."""
    within = budgets(setting, shares)
    space = pocket_space(setting, within.values(), form(setting))
    supernet = setting.training(InPlaceTraining, SUPERNET, "in-place", space=space)
    most = max(within.values(), key=lambda budget: budget.macs or 0)
    search = Search(supernet=supernet, budget=most, strategy=SEARCH, seed=setting.seed)
    return [
        Point(
            "in-place",
            place,
            setting.training(
                InPlaceTraining,
                TUNING,
                f"in-place of {place}",
                init=Pick(search=search, budget=budget, margin=MARGIN),
                inherited=supernet,
            ),
        )
        for place, budget in within.items()
    ]


def faster(
    setting: Setting,
    shares: Mapping[str, float] = BUDGETS,
    series: str = FASTER,
    network: ResnetSpec | None = None,
) -> list[Point]:
    """From scratch at the generator's learning rate of in-place distillation. `network`: another form than the
    papers', whatever its widths."""
    game = setting.teaching.model_copy(update={"lr": setting.in_place.lr})
    return [
        Point(
            series,
            place,
            setting.training(
                Train,
                1.0,
                f"scratch of {place}{', own form' if network else ''}",
                generator=widest(setting, budget, network),
                objective=game,
            ),
        )
        for place, budget in budgets(setting, shares).items()
    ]


def one_size(setting: Setting, shares: Mapping[str, float]) -> list[Point]:
    """In-place distillation of a space of one size: it has nobody to teach, and all of the time."""
    return [
        Point(
            ONE_SIZE,
            place,
            setting.training(
                InPlaceTraining, 1.0, f"in-place of {place}", student=widest(setting, budget, form(setting))
            ),
        )
        for place, budget in budgets(setting, shares).items()
    ]


def points(setting: Setting) -> list[Point]:
    small = {"1 %": BUDGETS["1 %"]}
    return [
        *from_scratch(setting),
        *in_place(setting),
        *faster(setting, small),
        *faster(setting, small, OWN_FORM, form(setting)),
        *one_size(setting, small),
    ]


IN_PLACE = Study(
    name="in-place",
    about="Is a small generator that came out of a supernet without a teacher better than the same size trained "
    "from scratch, also at the learning rate of the former? The former also has a form of its own (methods/"
    "in_place.py: FORM); one of the latter has it, too. All have the same time, the supernet and its search "
    "counted whole at either budget. Budgets are shares of the dense teacher's MACs.",
    source="our own question",
    points=points,
    claims=(
        Claim(better="in-place", worse="from scratch"),
        *(
            Claim(better=better, worse=worse, places=("1 %",))
            for better, worse in (
                ("in-place", FASTER),
                ("in-place", OWN_FORM),
                (ONE_SIZE, "from scratch"),
                (ONE_SIZE, FASTER),
                (ONE_SIZE, OWN_FORM),
            )
        ),
    ),
)


def front(setting: Setting) -> list[Point]:
    """One supernet for all budgets, whose subnets are as it leaves them; networks from scratch share its time."""
    within = budgets(setting, SHARES)
    plain, space = (pocket_space(setting, within.values(), own) for own in (None, form(setting)))
    supernet = setting.training(InPlaceTraining, FRONT, "in-place", space=space)
    most = max(within.values(), key=lambda budget: budget.macs or 0)
    search = Search(supernet=supernet, budget=most, strategy=FRONT_SEARCH, seed=setting.seed)
    fast = setting.teaching.model_copy(update={"lr": setting.in_place.lr})
    found = []
    for place, budget in within.items():
        alone: dict[str, Any] = dict(
            share=1 / len(within), pace="scratch", generator=largest_within(setting, plain, budget)
        )
        found += [
            Point(ONE_RUN, place, Pick(search=search, budget=budget)),
            Point(A_RUN_EACH, place, setting.training(Train, **alone)),
            Point(FASTER_EACH, place, setting.training(Train, **alone, objective=fast)),
        ]
    return found


IN_PLACE_FRONT = Study(
    name="in-place-front",
    about="Is one supernet without a teacher worth eight networks from scratch? Those of the eight budgets, the "
    "largest of its space within each, have an eighth of its processor time each, at pix2pix's learning rate or at "
    "that of in-place distillation. Budgets are shares of the dense teacher's MACs.",
    source="our own question",
    data=PAIRS,
    points=front,
    claims=tuple(Claim(better=ONE_RUN, worse=worse) for worse in (A_RUN_EACH, FASTER_EACH)),
)
