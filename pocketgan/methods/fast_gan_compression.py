"""Fast GAN Compression: the supernet starts from scratch, and evolution searches a larger space.

Source: Li et al., GAN Compression, TPAMI 2022, section 3.3 and the published settings.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.stage import Stage
from pocketgan.recipes.method import Method, Wish
from pocketgan.recipes.supernet import Start, SupernetSettings, supernet_settings
from pocketgan.search import Evolution


class FastGanCompression(SupernetSettings):
    """Every number of Fast GAN Compression."""

    method: ClassVar[str] = "fast-gan-compression"
    inherits: ClassVar[bool] = False

    def to_supernet(self, start: Start) -> dict[str, Stage]:
        return {"supernet": Distil(space=start.space, schedule=self.supernet, **start.distil)}


EFFORTS: dict[str, dict[str, Any]] = {
    "quick": dict(
        teacher=32,
        discriminator=64,
        space="32_24_16_8",
        teacher_images=6_000,
        supernet_images=6_000,
        tuning_images=3_000,
        # a small network that learns for minutes bears five times the published rate (benchmarks/README.md)
        student_lr=1e-3,
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
    # cityscapes and edges2shoes-r of the papers see 740 to 920 thousand images, their supernets twice as many
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


def settings(wish: Wish) -> FastGanCompression:
    return supernet_settings(FastGanCompression, wish, **EFFORTS[wish.effort])


METHOD = Method(
    name="fast-gan-compression",
    about="a teacher teaches a supernet, evolution finds the subnet, which is fine-tuned",
    settings=settings,
)
