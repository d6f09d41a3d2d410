"""Whether training ever waits for its images: the bundled nuclei at 128 pixels.

Batches from the decoded cache against decoding and resizing the files anew for each; then the loop's own feed
(prefetched) beside its quickest step, the supernet's, with the time that the loop waits for the next batch.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import measure
import numpy as np
import torch
import training

from pocketgan.data.batches import Batch, prefetch, training_batches
from pocketgan.data.cache import Examples, load_examples
from pocketgan.data.images import read_rgb, resize, to_tensor
from pocketgan.data.task import Task, open_task

NUCLEI = measure.ROOT / "examples" / "nuclei" / "stained"
BATCH = training.BATCH


def from_cache(examples: Examples, size: int) -> Iterator[Batch]:
    """Batches without end, epoch by epoch, as the training stages make them."""
    for epoch in count():
        batches = training_batches(examples, batch_size=BATCH, size=(size, size), flip=True, seed=0, epoch=epoch)
        yield from (batch.on(torch.device("cpu")) for batch in batches)


def from_files(task: Task) -> Iterator[Batch]:
    """The same kind of batches, every image decoded and resized whenever it is needed."""
    (load, _), (size, _) = task.load_size, task.size
    pairs, chance = list(zip(*task.files("train"), strict=True)), random.Random(0)
    while True:
        sides, chosen = ([], []), chance.sample(pairs, BATCH)
        for pair in chosen:
            top, left = (chance.randint(0, load - size) for _ in range(2))
            mirrored = chance.random() < 0.5
            for side, sample in zip(sides, pair, strict=True):
                image = resize(read_rgb(sample.path), load, load)
                crop = image[top : top + size, left : left + size]
                side.append(crop[:, ::-1] if mirrored else crop)
        yield Batch(*(to_tensor(np.stack(side)) for side in sides), tuple(source.name for source, _ in chosen))


def take(batches: Iterator[Batch], number: int) -> None:
    for _ in islice(batches, number):
        pass


def waiting(examples: Examples, size: int, step: training.Step, steps: int) -> tuple[float, float]:
    """Median seconds of a step, and of waiting for its batch, in a loop like that of `fit`."""
    waits, works = [], []
    feed = prefetch(from_cache(examples, size))
    for draw in range(steps + 1):
        start = time.perf_counter()
        batch = next(feed)
        ready = time.perf_counter()
        step(batch, draw)
        waits.append(ready - start)
        works.append(time.perf_counter() - ready)
    feed.close()
    return float(np.median(works[1:])), float(np.median(waits[1:]))


def main() -> None:
    chosen = measure.options(__doc__, turns=9, threads=2)
    size, shape, steps = (32, (4, 4, (4, 2)), 2) if chosen.quick else (128, (32, 64, (32, 24, 16, 8)), 30)
    task = open_task(NUCLEI, size=size, channels=(3, 3))
    with tempfile.TemporaryDirectory() as folder:
        examples = load_examples(task, "train", Path(folder), training=True)
        cache, files = from_cache(examples, size), from_files(task)
        times = measure.in_turns(
            {"from the cache": lambda: take(cache, 10), "from files": lambda: take(files, 1)}, chosen.turns
        )
        networks = training.Networks("supernet", *shape)
        loops = {p: waiting(examples, size, training.our_step(networks, p), steps) for p in training.PRECISIONS}

    per_batch = {"from the cache": times["from the cache"].median / 10, "from files": times["from files"].median}
    rows = [
        {
            "what": f"batch {name}",
            "median_ms": measure.figure(seconds * 1e3),
            "images_per_second": measure.figure(BATCH / seconds),
            "ratio_to_files": measure.figure(per_batch["from files"] / seconds),
        }
        for name, seconds in per_batch.items()
    ]
    for precision, (work, wait) in loops.items():
        rows.append(
            {
                "what": f"supernet step {precision}",
                "median_ms": measure.figure(work * 1e3),
                "images_per_second": measure.figure(BATCH / (work + wait)),
                "batch_share_of_step": measure.figure(per_batch["from the cache"] / work),
                "waiting_share_of_step": measure.figure(wait / work),
            }
        )
    measure.report("data", chosen, rows, size=size, batch=BATCH)


if __name__ == "__main__":
    main()
