"""Batches of samples. What a training batch holds depends on the seed, the epoch and its position only, so that
training may stop and go on anywhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pocketgan.data.cache import Examples, Images
from pocketgan.data.packed import Packed
from pocketgan.data.ragged import Ragged
from pocketgan.distributed import ALONE, World
from pocketgan.seeds import derive_seed
from pocketgan.units import Size

T = TypeVar("T")
_END: Any = object()


class Batch(NamedTuple):
    """Inputs `x` (images in [-1, 1], or encoded label maps), images `y` in [-1, 1], and the names of the inputs.

    Of pairs, `y[i]` belongs to `x[i]`. Without pairs, a training batch has as many of both, drawn independently,
    and an evaluation batch has no `y`: zero rows. Nor has a batch of inputs without a partner.
    """

    x: Float[Tensor, "batch channels height width"]
    y: Float[Tensor, "rows planes height width"]
    names: tuple[str, ...]

    def on(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(self.x.to(device), self.y.to(device), self.names)


class PackedBatch(NamedTuple):
    """A batch before its pixels are encoded: see `Packed`."""

    x: Packed
    y: Packed
    names: tuple[str, ...]

    def on(self, device: torch.device) -> Batch:
        """The batch on a device, encoded there."""
        return Batch(self.x.on(device), self.y.on(device), self.names)


class Targets(NamedTuple):
    """Real images in [-1, 1], with their names."""

    y: Float[Tensor, "batch channels height width"]
    names: tuple[str, ...]


class _Look(NamedTuple):
    """How samples are seen: in crops of a size, mirrored at random or not, turned at random or not."""

    size: Size
    flip: bool
    rotate: bool


class _Draw(NamedTuple):
    """For each position of an epoch: the sample, the corner of its crop, whether it is mirrored, and by how many
    right angles it is turned then."""

    order: np.ndarray
    corners: np.ndarray
    mirrored: np.ndarray
    turns: np.ndarray


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Full batches in an epoch; one where there are fewer samples than a batch holds."""
    return max(1, samples // batch_size)


def training_batches(
    examples: Examples,
    *,
    batch_size: int,
    size: Size,
    flip: bool,
    rotate: bool = False,
    seed: int,
    epoch: int,
    start_step: int = 0,
    world: World = ALONE,
) -> Iterator[PackedBatch]:
    """One epoch of shuffled, randomly cropped, mirrored and turned samples; source and target of a pair alike.

    Without pairs, both domains are drawn independently, and the smaller one is repeated, each time in a new order.
    The last, partial batch is dropped; a set smaller than one batch gives one batch with repeats.

    Args:
        size: height and width of the crop, at most those of the examples.
        flip: mirror each sample left-right with probability 1/2.
        rotate: then turn it by 0, 90, 180 or 270 degrees; `size` must be square.
        start_step: batches to skip; the remaining ones are exactly those of an uninterrupted epoch.
        world: the processes that share each batch, whose number divides `batch_size`; what is made is the share of
            this one.
    """
    whole = _Epoch(examples, batch_size, _Look(size, flip, rotate), seed, epoch, world)
    for position in range(start_step, len(whole)):
        yield whole.batch(position)


def student_batches(
    labelled: Examples,
    union: Examples,
    turn: Callable[[int], bool],
    *,
    batch_size: int,
    size: Size,
    flip: bool,
    rotate: bool = False,
    seed: int,
    epoch: int,
    start_step: int = 0,
    world: World = ALONE,
) -> Iterator[PackedBatch]:
    """One epoch of `training_batches(labelled)`, in which those that nobody but a student sees come from `union`.

    Such a batch has no `y`: zero rows. From epoch to epoch the sources of `union` are walked through to the end,
    across batches, before the walk begins again in a new order.

    Args:
        union: what `load_inputs` gives; its targets are not looked at.
        turn: whether a step needs targets; steps are counted over the whole training, from 1.
        size, flip, rotate, start_step, world: as of `training_batches`.
    """
    look = _Look(size, flip, rotate)
    whole, sources = _Epoch(labelled, batch_size, look, seed, epoch, world), union.sources
    first = epoch * len(whole) + 1  # the step of the epoch's first batch
    taken = batch_size * sum(not turn(step) for step in range(1, first + start_step))
    left = batch_size * (len(whole) - start_step)  # the most that the rest of the epoch may take
    walks = range(taken // len(sources), (taken + left) // len(sources) + 1)
    streams = ("order of inputs", "augmentation of inputs")
    draws = [_draw(sources, len(sources), look, streams, (seed, walk), again=False) for walk in walks]
    draw = _Draw(*(np.concatenate(parts) for parts in zip(*draws, strict=True)))
    cut = _Cutter(sources, draw, size)
    start = taken % len(sources)
    for position in range(start_step, len(whole)):
        if turn(first + position):
            yield whole.batch(position)
        else:
            chosen = world.share(range(start, start + batch_size))
            start += batch_size
            names = tuple(sources.names[draw.order[place]] for place in chosen)
            none = np.empty((0, *size, labelled.targets.pixels.shape[-1]), np.uint8)
            yield PackedBatch(cut(chosen), Packed(none), names)


def evaluation_batches(
    examples: Examples, batch_size: int, device: torch.device = torch.device("cpu")
) -> Iterator[Batch]:
    """All sources in order, whole and unmirrored, in pairs with their targets; the last batch may be smaller.

    They are encoded on the device."""
    sources, targets = examples.sources, examples.targets
    for first in range(0, len(sources), batch_size):
        chosen = slice(first, first + batch_size)
        own = chosen if examples.paired else slice(0)
        batch = PackedBatch(sources.packed(chosen), targets.packed(own), tuple(sources.names[chosen]))
        yield batch.on(device)


def target_batches(
    examples: Examples, batch_size: int, device: torch.device = torch.device("cpu")
) -> Iterator[Targets]:
    """All targets in order, whole and unmirrored; without pairs they may be more or fewer than the sources."""
    targets = examples.targets
    for first in range(0, len(targets), batch_size):
        chosen = slice(first, first + batch_size)
        yield Targets(targets.packed(chosen).on(device), tuple(targets.names[chosen]))


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


class _Epoch:
    """The training batches of an epoch, each made when it is asked for."""

    def __init__(
        self, examples: Examples, batch_size: int, look: _Look, seed: int, epoch: int, world: World
    ) -> None:
        self.batch_size, self.world = batch_size, world
        self.steps = steps_per_epoch(len(examples), batch_size)
        self.names, count, place = examples.sources.names, batch_size * self.steps, (seed, epoch)
        sources, targets, again = examples.sources, examples.targets, not examples.paired
        first = second = _draw(sources, count, look, ("order", "augmentation"), place, again)
        if not examples.paired:
            second = _draw(targets, count, look, ("order of B", "augmentation of B"), place, again)
        self.order = first.order
        self.cut_x, self.cut_y = (
            _Cutter(images, draw, look.size) for images, draw in ((sources, first), (targets, second))
        )

    def __len__(self) -> int:
        return self.steps

    def batch(self, position: int) -> PackedBatch:
        chosen = self.world.share(range(position * self.batch_size, (position + 1) * self.batch_size))
        names = tuple(self.names[self.order[place]] for place in chosen)
        return PackedBatch(self.cut_x(chosen), self.cut_y(chosen), names)


def _draw(
    images: Images,
    count: int,
    look: _Look,
    streams: tuple[str, str],
    place: tuple[int, int],
    again: bool,
) -> _Draw:
    """The choices of an epoch. Where there are too few images, their order is repeated, or made anew if `again`."""
    seed, epoch = place
    chance = np.random.default_rng(derive_seed(seed, streams[0], epoch))
    order = chance.permutation(len(images))
    if again:
        rounds = -(-count // len(images))
        order = np.concatenate([order, *(chance.permutation(len(images)) for _ in range(rounds - 1))])
    order = np.resize(order, count)  # cuts the rest off, or repeats from the start
    chance = np.random.default_rng(derive_seed(seed, streams[1], epoch))
    corners = chance.integers(0, images.sides[order] - np.array(look.size) + 1, (count, 2))
    mirrored = chance.random(count) < (0.5 if look.flip else 0)
    return _Draw(order, corners, mirrored, chance.integers(0, 4 if look.rotate else 1, count))


class _Cutter:
    """Makes the crops of one domain."""

    def __init__(self, images: Images, draw: _Draw, size: Size) -> None:
        self.draw, self.size, self.labels = draw, size, images.labels
        # a plain view: slicing a memmap object is slow
        self.pixels = images.pixels if isinstance(images.pixels, Ragged) else np.asarray(images.pixels)
        self.channels, self.dtype = images.pixels.shape[-1], images.pixels.dtype

    def __call__(self, positions: range) -> Packed:
        (height, width), (order, corners, mirrored, turns) = self.size, self.draw
        crops = np.empty((len(positions), height, width, self.channels), self.dtype)
        for place, position in enumerate(positions):
            top, left = corners[position]
            crop = self.pixels[order[position]][top : top + height, left : left + width]
            crop = crop[:, ::-1] if mirrored[position] else crop
            crops[place] = np.rot90(crop, turns[position]) if turns[position] else crop
        return Packed(crops, self.labels)
