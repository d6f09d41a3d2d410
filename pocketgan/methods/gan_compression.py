"""GAN Compression: a mobile teacher is first distilled into a narrower student, from which the supernet starts.

Source: Li et al., GAN Compression, CVPR 2020, section 3 and the published settings.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pocketgan.elastic.shrinking import shrinking
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.stage import Stage
from pocketgan.recipes.method import Method, Wish
from pocketgan.recipes.shrinking import progressive_shrinking
from pocketgan.recipes.supernet import Start, SupernetSettings, supernet_settings
from pocketgan.search import Evolution
from pocketgan.training.schedule import Schedule


class GanCompression(SupernetSettings):
    """Every number of GAN Compression.

    Attributes:
        predistillation: how long the narrower student learns, which is the supernet's largest network.
        shrinking: whether the supernet shrinks from it phase by phase, as Once-for-all does; `supernet` is then the
            length of each phase.
    """

    method: ClassVar[str] = "gan-compression"

    predistillation: Schedule
    shrinking: bool = False

    def to_supernet(self, start: Start) -> dict[str, Stage]:
        space, form = start.space, start.form.folded
        # dense convolutions cannot be pruned into decomposed ones, nor kernels into larger ones
        prunable = form.model_copy(update={"widths": space.spec.widths}) == space.spec
        narrow = Distil(
            student=space.spec,
            init=start.teacher if prunable else None,
            inherited=start.inherited,
            schedule=self.predistillation,
            **start.distil,
        )
        if self.shrinking:
            schedules = (self.supernet,) * len(shrinking(space))
            phases = progressive_shrinking(space, schedules, narrow, narrow, **start.distil)
            return {"pre-distillation": narrow, **phases}
        supernet = Distil(space=space, init=narrow, inherited=narrow, schedule=self.supernet, **start.distil)
        return {"pre-distillation": narrow, "supernet": supernet}


EFFORTS: dict[str, dict[str, Any]] = {
    "quick": dict(
        teacher=48,
        discriminator=64,
        space="32_24_16_8",
        teacher_images=6_000,
        supernet_images=6_000,
        tuning_images=3_000,
        search=Evolution(population=20, generations=3),
    ),
    "standard": dict(
        teacher=64,
        discriminator=64,
        space="48_40_32_24_16_8",
        teacher_images=100_000,
        supernet_images=150_000,
        tuning_images=50_000,
        search=Evolution(population=50, generations=20),
    ),
    "paper": dict(
        teacher=96,
        discriminator=128,
        space="48_40_32_24_16",
        teacher_images=800_000,
        supernet_images=1_600_000,
        tuning_images=800_000,
        search=Evolution(mutation_probability=0.3),
    ),
}


def settings(wish: Wish) -> GanCompression:
    numbers = EFFORTS[wish.effort]
    # the narrower student learns as long as its teacher
    predistillation = wish.game.schedule(numbers["teacher_images"], wish.task)
    return supernet_settings(GanCompression, wish, mobile=True, predistillation=predistillation, **numbers)


METHOD = Method(
    name="gan-compression",
    about="the long way: a narrower student between teacher and supernet",
    settings=settings,
)
