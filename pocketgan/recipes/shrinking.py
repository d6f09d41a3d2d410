"""Once-for-all in full: the largest network first, then a supernet that shrinks phase by phase.

Source: Cai et al., Once-for-All, ICLR 2020, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pocketgan.data.task import Task
from pocketgan.elastic.shrinking import first_of_width, shrinking
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import SpecError
from pocketgan.networks import DiscriminatorSpec, PatchSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.games import Distilling, Sight, Teaching, needs_sight
from pocketgan.pipeline.stages import Distil, Sorted, Train
from pocketgan.training.schedule import Schedule

#: what a chain of stages holds: the largest network, phases, and the sorting before widths shrink
Chain = tuple[Train | Distil | Sorted, ...]


def progressive_shrinking(
    space: SearchSpace,
    task: Task,
    teaching: Schedule,
    phases: Sequence[Schedule],
    *,
    discriminator: DiscriminatorSpec = PatchSpec(),
    objective: Teaching = Pix2PixSettings(),
    distillation: Distilling = DistilSettings(),
    sight: Sight | None = None,
    **shared: Any,
) -> Chain:
    """The stages in the order in which they run; the last is the supernet of the whole space, to be searched.

    The largest network of the space is trained as a teacher is (`objective`, for `teaching`). Each phase goes on
    with the weights and the judge of the one before, and learns from the largest network. Before the first phase in
    which widths shrink, channels are sorted by importance.

    Args:
        phases: how long each of `shrinking(space)` trains, in that order.
        sight: what a perceptual term of either game looks through.
        shared: what every training has besides: `seed`, `precision`, `splits`.

    Raises SpecError when there are not as many schedules as phases.
    """
    subspaces = shrinking(space)
    if len(phases) != len(subspaces):
        raise SpecError(
            f"progressive shrinking of {space.name} has {len(subspaces)} phases, {len(phases)} schedules were "
            "given; give one for each"
        )
    every: dict[str, Any] = dict(task=task, discriminator=discriminator, **shared)
    largest = Train(
        generator=space.spec,
        objective=objective,
        schedule=teaching,
        sight=sight if needs_sight(objective) else None,
        **every,
    )
    chain: list[Train | Distil | Sorted] = [largest]
    judge: Train | Distil = largest
    for number, (subspace, schedule) in enumerate(zip(subspaces, phases, strict=True)):
        if number == first_of_width(subspaces):
            chain.append(Sorted(network=chain[-1]))
        judge = Distil(
            teacher=largest,
            space=subspace,
            init=chain[-1],
            judge=judge,
            objective=distillation,
            schedule=schedule,
            sight=sight if needs_sight(distillation) else None,
            **every,
        )
        chain.append(judge)
    return tuple(chain)
