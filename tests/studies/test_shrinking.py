"""Progressive shrinking against plain sampling: what all have in common, their time, and the front at toy size."""

import pytest

from pocketgan.elastic.cost import cost
from pocketgan.elastic.shrinking import shrinking
from pocketgan.errors import BudgetError
from pocketgan.models import load_model
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.sort_channels import SortChannels
from pocketgan.runtime import Runtime
from pocketgan.studies.pace import Pace
from pocketgan.studies.shrinking import FRONT, SUPERNET, progressive_or_plain, space


def supernets(setting):
    """The shrinking one, the plain one, and the plain one that starts from the largest network."""
    return tuple({point.series: point.network.search.supernet for point in progressive_or_plain(setting)}.values())


def phases_of(supernet: Distil) -> list[Distil]:
    """The chain of phases, the last one first."""
    phases = [supernet]
    while phases[-1].init != supernet.teacher:
        before = phases[-1].init
        phases.append(before.network if isinstance(before, SortChannels) else before)
    return phases


def test_all_learn_from_one_largest_network(toy, even_pace):
    shrunk, plain, inheriting = supernets(toy)
    assert shrunk.teacher == plain.teacher
    assert plain.teacher.generator == space(toy).spec
    assert shrunk.space == plain.space == space(toy)
    assert (plain.init, plain.inherited) == (None, None), "from scratch"
    assert inheriting == plain.model_copy(update={"init": plain.teacher, "inherited": plain.teacher})
    found = phases_of(shrunk)[::-1]
    assert [phase.space for phase in found] == list(shrinking(space(toy)))
    assert found[0].init == found[0].inherited == plain.teacher
    assert (shrunk.objective, shrunk.discriminator) == (plain.objective, plain.discriminator)


def test_all_take_as_long_and_search_alike(toy):
    """Phases that visit larger subnets are slower, and have fewer epochs. An epoch is one step."""
    pace = {"largest": 0.1, "supernet": 0.05, "phase 1": 0.2, "phase 2": 0.15, "phase 3": 0.1, "phase 4": 0.06}
    setting = toy.model_copy(update={"seconds": 300.0, "pace": Pace(pace)})
    shrunk, plain, inheriting = supernets(setting)
    epochs = [phase.schedule.epochs for phase in phases_of(shrunk)[::-1]]
    assert epochs == sorted(epochs)
    spent = sum(count * pace[f"phase {number}"] for number, count in enumerate(epochs, 1))
    assert spent == pytest.approx(SUPERNET * 300, rel=0.01)
    assert plain.schedule.epochs * pace["supernet"] == pytest.approx(SUPERNET * 300, rel=0.01)
    assert inheriting.schedule == plain.schedule
    assert setting.pace.known == pace, "nothing else was measured"
    searches = [point.network.search for point in progressive_or_plain(setting)]
    assert len({each.model_copy(update={"supernet": plain}) for each in searches}) == 1


def test_the_front_keeps_its_budgets(toy, toys, even_pace, few_candidates):
    most = cost(space(toy).spec, 24, 24)["macs"]
    points = progressive_or_plain(toy)
    assert len(points) == 3 * len(FRONT)
    for point in points:
        toys.realise(point.network, Runtime(device="cpu"))
        found = cost(load_model(toys.artifact(point.network) / "model").spec, 24, 24)["macs"]
        assert found <= FRONT[point.place] * most


def test_a_budget_that_nothing_fits_is_refused_before_anything_is_trained(toy, even_pace):
    with pytest.raises(BudgetError, match="below the smallest subnet of 1,depth=9_6,kernel=5_3"):
        progressive_or_plain(toy.model_copy(update={"teacher_width": 1}))
