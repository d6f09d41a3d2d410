"""Scoring one candidate of a search, as the search does it, and where the time goes.

131 images of 64 pixels, Frechet distance on MobileNetV2 features, a subnet of a supernet with base width 32. For
orientation, the official code needs 1.4 CPU seconds for as many images.
"""

from __future__ import annotations

import measure
import torch

from pocketgan.data.batches import Batch
from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.metrics.catalog import FRECHET
from pocketgan.metrics.evaluate import Evaluator
from pocketgan.networks import ResnetSpec, init_normal
from pocketgan.pretrained.mobilenet_v2 import MobileNetV2

BATCH = 16  # that of the search stage
GENOME = (24, 16, 24, 16, 24, 16, 24, 16)
OFFICIAL_CPU_S = 1.4


def batches(images: int, size: int) -> list[Batch]:
    random = torch.Generator().manual_seed(0)
    counts = [min(BATCH, images - first) for first in range(0, images, BATCH)]
    return [
        Batch(*(torch.rand(2, n, 3, size, size, generator=random) * 2 - 1), tuple(f"{k}-{i}" for i in range(n)))
        for k, n in enumerate(counts)
    ]


@torch.inference_mode()
def main() -> None:
    chosen = measure.options(__doc__, turns=9, threads=1)
    images, size = (4, 16) if chosen.quick else (131, 64)
    space = space_named("32_24_16_8", ResnetSpec.uniform(1).mobile)
    supernet = Supernet(space.spec).eval()
    init_normal(supernet, torch.Generator().manual_seed(0))
    widths = space.widths(GENOME)
    real = batches(images, size)
    evaluator, features = Evaluator(real, metrics=(FRECHET,)), MobileNetV2.load()
    made = [supernet(batch.x, widths) for batch in real]

    times = measure.in_turns(
        {
            "whole score": lambda: evaluator(lambda x: supernet(x, widths)),
            "generator forward": lambda: [supernet(batch.x, widths) for batch in real],
            "MobileNetV2 forward": lambda: [features(images) for images in made],
        },
        chosen.turns,
    )
    whole = times["whole score"]
    rows = [
        {
            "what": name,
            "median_s": measure.figure(own.median),
            "quartiles_s": [measure.figure(t) for t in own.quartiles],
            "cpu_s": measure.figure(own.cpu_median),
            "share": measure.figure(1 / own.speedup_over(whole)),
            "images_per_second": measure.figure(images / own.median),
            "official_cpu_s": OFFICIAL_CPU_S if own is whole and not chosen.quick else None,
        }
        for name, own in times.items()
    ]
    measure.report("scoring", chosen, rows, images=images, size=size, space=space.name, genome=list(GENOME))


if __name__ == "__main__":
    main()
