"""A released compressed generator, imported, against the pictures of the official teacher.

GAN Compression's horse2zebra checkpoint (0.357 M parameters) on 50 horses of the test set, next to what the full
official generator (11.4 M) makes of them. The horses themselves are the other contestant: what leaving them as they
are would score. Neither the checkpoint nor the images may be shipped: they lie beside the repository.
"""

from __future__ import annotations

import sys

import measure
import numpy as np
import torch

from pocketgan.data.batches import Batch
from pocketgan.data.images import list_images, read_rgb, to_tensor
from pocketgan.elastic.cost import cost
from pocketgan.interop.importing import import_checkpoint
from pocketgan.metrics.catalog import FRECHET
from pocketgan.metrics.evaluate import Evaluator

DATA = measure.ROOT.parent / "shared" / "data"
CHECKPOINT = DATA / "weights" / "gan_compression_h2z" / "latest_net_G.pth"
HORSES, TEACHER = (DATA / "horse2zebra_partial" / name for name in ("testA", "official_teacher_fakeB"))
BATCH = 5


def batches(count: int) -> list[Batch]:
    """The horses and the teacher's pictures of them."""
    files = list_images(HORSES)[:count]
    found = []
    for first in range(0, len(files), BATCH):
        part = files[first : first + BATCH]
        x, y = (to_tensor(np.stack([read_rgb(folder / f.name) for f in part])) for folder in (HORSES, TEACHER))
        found.append(Batch(x, y, tuple(file.stem for file in part)))
    return found


@torch.inference_mode()
def main() -> None:
    chosen = measure.options(__doc__, turns=1, threads=2)
    if not (CHECKPOINT.exists() and HORSES.exists()):
        sys.exit("the checkpoint and the horses are not beside the repository")
    imported = import_checkpoint(CHECKPOINT)
    pairs = batches(4 if chosen.quick else 50)
    evaluator = Evaluator(pairs, metrics=("ssim", FRECHET))
    rows = []
    for name, generate in (("compressed", imported.network), ("the horses", lambda x: x)):
        result = evaluator(generate, intervals=True)
        rows.append(
            {
                "pictures": name,
                **{metric: measure.figure(score) for metric, score in result.scores.items()},
                **{f"{metric}_95": [measure.figure(v) for v in ends] for metric, ends in result.intervals.items()},
            }
        )
    images = sum(len(pair.names) for pair in pairs)
    measure.report("horse2zebra", chosen, rows, network=imported.what, images=images, **cost(imported.spec, 256))


if __name__ == "__main__":
    main()
