"""The methods side by side, at equal processor time: from scratch at two learning rates, the two forms of GAN
Compression, OMGD (of pairs), and in-place distillation, which is Pocket's second form. `pocket` is a study of its
first one.

A further method is one more function from a setting to its points, and a line in `methods`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.training import Train
from pocketgan.search import Evolution
from pocketgan.studies.budgets import BUDGETS, budgets, from_scratch, widest
from pocketgan.studies.in_place import FASTER, faster, in_place
from pocketgan.studies.online import omgd_student
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

SEARCH = Evolution(population=8, generations=2)
#: options of every width, for a teacher of 32 channels
OPTIONS = (12, 8, 6, 4, 3, 2)


def space(setting: Setting) -> SearchSpace:
    """The supernet's widths, in proportion to the teacher's."""
    options = dict.fromkeys(max(1, round(option * setting.teacher_width / 32)) for option in OPTIONS)
    return space_named("_".join(map(str, options)), setting.dense.mobile)


def mobile_teacher(setting: Setting) -> Train:
    return setting.training(Train, 0.32, "mobile teacher", generator=setting.dense.mobile)


def gan_compression(setting: Setting, shares: Mapping[str, float] = BUDGETS) -> list[Point]:
    teacher, within = mobile_teacher(setting), space(setting)
    narrow = setting.training(
        Distil, 0.14, "distillation", teacher=teacher, student=within.spec, init=teacher, inherited=teacher
    )
    supernet = setting.training(
        Distil, 0.28, "supernet", teacher=teacher, space=within, init=narrow, inherited=narrow
    )
    return _tuned("GAN Compression", setting, shares, supernet)


def fast_gan_compression(setting: Setting, shares: Mapping[str, float] = BUDGETS) -> list[Point]:
    teacher = setting.training(Train, 0.36, "dense teacher", generator=setting.dense)
    supernet = setting.training(Distil, 0.38, "supernet", teacher=teacher, space=space(setting))
    return _tuned("Fast GAN Compression", setting, shares, supernet)


def _tuned(series: str, setting: Setting, shares: Mapping[str, float], supernet: Distil) -> list[Point]:
    """The best subnet of each budget, fine-tuned."""
    points, within = [], space(setting)
    model = CostModel(within.spec, *setting.task.size)
    for place, budget in budgets(setting, shares).items():
        budget.check(within, model)
        search = Search(supernet=supernet, budget=budget, strategy=SEARCH, seed=setting.seed)
        tuned = setting.training(
            Distil, 0.16, "distillation", teacher=supernet.teacher, init=Pick(search=search), inherited=supernet
        )
        points.append(Point(series, place, tuned))
    return points


def omgd(setting: Setting, shares: Mapping[str, float] = BUDGETS) -> list[Point]:
    """A run for each budget, as it has no supernet; none without pairs, where OMGD is another game."""
    points: list[Point] = []
    if not setting.task.paired:
        return points
    for place, budget in budgets(setting, shares).items():
        student = widest(setting, budget)
        points.append(Point("OMGD", place, omgd_student(setting, student, 1.0, f"omgd {max(student.widths)}")))
    return points


def methods(setting: Setting) -> list[Point]:
    every = (from_scratch, faster, gan_compression, fast_gan_compression, omgd, in_place)
    return [point for method in every for point in method(setting)]


OTHERS = ("from scratch", FASTER, "GAN Compression", "Fast GAN Compression", "OMGD")

METHODS = Study(
    name="methods",
    about="Which method makes the best small generator? Every one has the same processor time, its teachers and "
    "its search included, at two budgets: shares of the dense teacher's MACs. OMGD takes part with pairs alone.",
    source="Li et al., GAN Compression, CVPR 2020 and TPAMI 2022, and Ren et al., OMGD, ICCV 2021: the tables of "
    "results; the claims of in-place are our own",
    points=methods,
    claims=(
        Claim(better="GAN Compression", worse="from scratch"),
        Claim(better="Fast GAN Compression", worse="from scratch"),
        *(Claim(better="OMGD", worse=other) for other in ("from scratch", "GAN Compression")),
        *(Claim(better="in-place", worse=other) for other in OTHERS),
    ),
)
