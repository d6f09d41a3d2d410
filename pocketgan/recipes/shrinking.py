"""Once-for-all in full: a supernet that begins as its largest network and shrinks phase by phase.

Source: Cai et al., Once-for-All, ICLR 2020, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pocketgan.elastic.shrinking import first_of_width, shrinking
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import SpecError
from pocketgan.pipeline.stages import Distil, Given, Sorted, Train
from pocketgan.training.schedule import Schedule


def progressive_shrinking(
    space: SearchSpace,
    schedules: Sequence[Schedule],
    largest: Train | Distil | Given,
    judge: Train | Distil | Given | None,
    **distil: Any,
) -> tuple[tuple[Distil | Sorted, ...], Distil]:
    """The phases in the order in which they run, and the last one: the supernet of the whole space, to be searched.

    Each phase goes on with the weights and the judge of the one before. Before the first phase in which widths
    shrink, channels are sorted by importance.

    Args:
        schedules: how long each of `shrinking(space)` trains, in that order.
        largest: what leaves the largest network of the space, with which the first phase begins.
        judge: what leaves its discriminator; without one it is fresh.
        distil: the further fields of every phase, its `teacher` among them.

    Raises SpecError when there are not as many schedules as phases.
    """
    subspaces = shrinking(space)
    if len(schedules) != len(subspaces):
        raise SpecError(
            f"progressive shrinking of {space.name} has {len(subspaces)} phases, {len(schedules)} schedules were "
            "given; give one for each"
        )
    chain: list[Distil | Sorted] = []
    start: Train | Distil | Sorted | Given = largest
    for number, (subspace, schedule) in enumerate(zip(subspaces, schedules, strict=True)):
        if number == first_of_width(subspaces):
            start = Sorted(network=start)
            chain.append(start)
        phase = Distil(space=subspace, init=start, judge=judge, schedule=schedule, **distil)
        chain.append(phase)
        start = judge = phase
    return tuple(chain[:-1]), phase
