"""Once-for-all: the teacher is the supernet's largest network, which then shrinks phase by phase.

Source: Cai et al., Once-for-All, ICLR 2020, section 3.3.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pocketgan.elastic.shrinking import shrinking
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import SpecError
from pocketgan.networks import GeneratorSpec
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.recipes.method import Method, Wish
from pocketgan.recipes.shrinking import progressive_shrinking
from pocketgan.recipes.supernet import Start, SupernetSettings, supernet_settings
from pocketgan.search import Evolution


class OnceForAll(SupernetSettings):
    """Every number of Once-for-all; `supernet` is the length of each phase."""

    method: ClassVar[str] = "once-for-all"

    def trained(self, space: SearchSpace, teacher: TeacherFile | None) -> GeneratorSpec:
        """The largest network of the space, with what helps training alone in `teacher`, such as spectral norm."""
        if teacher and teacher.generator.folded != space.spec:
            raise SpecError(
                f"once-for-all shrinks its teacher, and this one is not the largest network of {space.name}; leave "
                "out --teacher, or choose --method gan-compression and add --set shrinking=true"
            )
        like = self.teacher
        in_training = {name: value for name, value in like if getattr(like.folded, name) != value}
        return space.spec.model_copy(update=in_training)

    def to_supernet(self, start: Start) -> dict[str, Stage]:
        schedules = (self.supernet,) * len(shrinking(start.space))
        return progressive_shrinking(start.space, schedules, start.teacher, start.inherited, **start.distil)


#: what is chosen beside widths, in the games whose networks have that choice
FURTHER = {"pix2pix": ",depth=9_6,kernel=5_3", "cyclegan": ",depth=9_6,kernel=5_3", "munit": ",depth=4_2"}

EFFORTS: dict[str, dict[str, Any]] = {
    "quick": dict(
        teacher=32,
        discriminator=64,
        space="32_24_16_8",
        teacher_images=6_000,
        supernet_images=6_000,
        tuning_images=3_000,
        search=Evolution(population=20, generations=3),
    ),
    "standard": dict(
        teacher=48,
        discriminator=64,
        space="48_40_32_24_16_8",
        teacher_images=100_000,
        supernet_images=150_000,
        tuning_images=50_000,
        search=Evolution(population=50, generations=20),
    ),
    "paper": dict(
        teacher=64,
        discriminator=128,
        space="64_56_48_40_32_24_16",
        teacher_images=800_000,
        supernet_images=1_600_000,
        tuning_images=800_000,
        search=Evolution(mutation_probability=0.3),
    ),
}


def settings(wish: Wish) -> OnceForAll:
    """`supernet_images` are those of all phases together."""
    numbers = dict(EFFORTS[wish.effort])
    numbers["space"] += FURTHER.get(wish.game.name, "")
    largest = wish.game.parts(numbers["teacher"], 1, mobile=True, in_channels=wish.task.in_channels).teacher
    phases = len(shrinking(space_named(numbers["space"], largest.mobile)))
    numbers["supernet_images"] = -(-numbers["supernet_images"] // phases)
    return supernet_settings(OnceForAll, wish, mobile=True, **numbers)


METHOD = Method(
    name="once-for-all",
    about="one large mobile network shrinks phase by phase; depth and kernels are chosen too",
    settings=settings,
)
