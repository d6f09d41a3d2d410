"""Batches of pairs. What a training batch holds depends on the seed, the epoch and its position only, so that
training may stop and go on anywhere."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from pocketgan.data.cache import PairSet
from pocketgan.data.images import to_tensor
from pocketgan.seeds import derive_seed

T = TypeVar("T")
_END: Any = object()


class Batch(NamedTuple):
    """Sources `x` and targets `y` in [-1, 1] with the names of their pairs."""

    x: Float[Tensor, "batch 3 height width"]
    y: Float[Tensor, "batch 3 height width"]
    names: tuple[str, ...]


def steps_per_epoch(pairs: int, batch_size: int) -> int:
    """Full batches in an epoch; one where there are fewer pairs than a batch holds."""
    return max(1, pairs // batch_size)


def training_batches(
    pairs: PairSet, *, batch_size: int, size: int, flip: bool, seed: int, epoch: int, start_step: int = 0
) -> Iterator[Batch]:
    """One epoch of shuffled, randomly cropped and mirrored pairs, both halves of a pair alike.

    The last, partial batch is dropped; a set smaller than one batch gives one batch with repeats.

    Args:
        size: side of the crop, at most the side of `pairs.images`.
        flip: mirror each pair left-right with probability 1/2.
        start_step: batches to skip; the remaining ones are exactly those of an uninterrupted epoch.
    """
    steps = steps_per_epoch(len(pairs), batch_size)
    order = np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(len(pairs))
    order = np.resize(order, steps * batch_size)  # cuts the rest off, or repeats from the start
    chance = np.random.default_rng(derive_seed(seed, "augmentation", epoch))
    spare = pairs.images.shape[2] - size
    corners = chance.integers(0, spare + 1, (len(order), 2))
    mirrored = chance.random(len(order)) < (0.5 if flip else 0)
    images = np.asarray(pairs.images)  # a plain view: slicing a memmap object is slow
    buffer = np.empty((2, batch_size, size, size, 3), np.uint8)
    for first in range(start_step * batch_size, len(order), batch_size):
        chosen = range(first, first + batch_size)
        for place, position in enumerate(chosen):
            top, left = corners[position]
            crop = images[order[position], :, top : top + size, left : left + size]
            buffer[:, place] = crop[:, :, ::-1] if mirrored[position] else crop
        yield _batch(buffer, tuple(pairs.names[order[position]] for position in chosen))


def evaluation_batches(pairs: PairSet, batch_size: int) -> Iterator[Batch]:
    """All pairs in order, whole and unmirrored; the last batch may be smaller."""
    for first in range(0, len(pairs), batch_size):
        chosen = slice(first, first + batch_size)
        yield _batch(pairs.images[chosen].swapaxes(0, 1), tuple(pairs.names[chosen]))


def prefetch(batches: Iterable[T], ready: int = 2) -> Iterator[T]:
    """The same items, made in a background thread that stays up to `ready` of them ahead.

    An exception surfaces where its item was due. Leaving the loop early, or closing the iterator, ends
    the thread.
    """
    source = iter(batches)
    worker = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    try:
        pending = deque(worker.submit(next, source, _END) for _ in range(ready))
        while (item := pending.popleft().result()) is not _END:
            pending.append(worker.submit(next, source, _END))
            yield item
    finally:
        worker.shutdown(cancel_futures=True)


def _batch(images: UInt8[np.ndarray, "2 batch height width 3"], names: tuple[str, ...]) -> Batch:
    both = to_tensor(images.reshape(-1, *images.shape[2:]))
    return Batch(both[: len(names)], both[len(names) :], names)
