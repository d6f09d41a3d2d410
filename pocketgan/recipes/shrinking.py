"""Once-for-all in full: a supernet that begins as its largest network and shrinks phase by phase.

Source: Cai et al., Once-for-All, ICLR 2020, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pocketgan.elastic.shrinking import first_of_width, shrinking
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import SpecError
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.sort_channels import SortChannels
from pocketgan.pipeline.stage import Stage
from pocketgan.training.schedule import Schedule


def progressive_shrinking(
    space: SearchSpace,
    schedules: Sequence[Schedule],
    largest: Stage,
    inherited: Stage | None,
    **distil: Any,
) -> dict[str, Stage]:
    """The phases by name, in the order in which they run. The last one is the supernet of the whole space.

    Each phase goes on with the weights and the discriminator of the one before. Before the first phase in which
    widths shrink, channels are sorted by importance.

    Args:
        schedules: how long each of `shrinking(space)` trains, in that order.
        largest: the stage that leaves the largest network of the space, with which the first phase begins.
        inherited: the stage that leaves its discriminator; without one it is fresh.
        distil: the further fields of every phase, its `teacher` among them.

    Raises SpecError when there are not as many schedules as phases.
    """
    subspaces = shrinking(space)
    if len(schedules) != len(subspaces):
        raise SpecError(
            f"progressive shrinking of {space.name} has {len(subspaces)} phases, {len(schedules)} schedules were "
            "given; give one for each"
        )
    stages: dict[str, Stage] = {}
    start = largest
    for number, (subspace, schedule) in enumerate(zip(subspaces, schedules, strict=True), 1):
        if number == first_of_width(subspaces) + 1:
            stages["sorting"] = start = SortChannels(network=start)
        phase = Distil(space=subspace, init=start, inherited=inherited, schedule=schedule, **distil)
        stages["supernet" if number == len(subspaces) else f"phase {number}"] = phase
        start = inherited = phase
    return stages
