"""The processes of a run, each with a device of its own, and what they tell each other.

All do the same, on different samples: each has every network whole, and its share of a batch. The first process
alone writes files, and what it writes does not show how many there were. Everything that they exchange passes this
module; what is no tensor travels as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pocketgan.errors import LostProcess
from pocketgan.trees import from_bytes, to_bytes

T = TypeVar("T")
Share = TypeVar("Share", Tensor, range)
#: begins the names of what we keep in the store where processes meet
OURS = "pocketgan"
#: that store, of processes that have met; PyTorch keeps the rest of what there is one of in a process
_stores: list[dist.Store] = []


@dataclass(frozen=True)
class World:
    """One process among those of a run; a run of one process is `ALONE`, for which all this costs nothing.

    What is collective must be called by all processes alike, in the same order. It raises `LostProcess` where
    another one has ended.

    Attributes:
        rank: its number, from 0.
        size: how many there are, on all machines together.
        local: its number on its machine, which is that of its device.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    # -- who does what ---------------------------------------------------------------------------------------

    def share(self, rows: Share) -> Share:
        """This process's part of the rows of a joint batch: of as many consecutive ones as of every other."""
        count = len(rows) // self.size
        return rows[self.rank * count : (self.rank + 1) * count]

    def mine(self, items: Iterable[T]) -> Iterator[T]:
        """Those items that this process is to work on, where each may take its time: every `size`-th."""
        return islice(items, self.rank, None, self.size)

    def in_order(self, made: Sequence[Any]) -> list[Any]:
        """From what each process made of its items (`mine`), all of it in the order of the items. Collective; trees
        of tensors and JSON."""
        if self.size == 1:
            return list(made)
        everyones = self.gather(list(made))
        count = sum(map(len, everyones))
        return [everyones[place % self.size][place // self.size] for place in range(count)]

    # -- tensors, on their device ----------------------------------------------------------------------------

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace these by their means over all processes, to the last bit the same ones everywhere. Collective;
        all tensors of one type travel at once."""
        if self.size == 1:
            return
        for dtype in dict.fromkeys(each.dtype for each in tensors):
            own = [each for each in tensors if each.dtype == dtype]
            flat = torch.cat([each.reshape(-1) for each in own])
            with _talking():
                dist.all_reduce(flat)
            parts = (flat / self.size).split([each.numel() for each in own])
            for each, part in zip(own, parts, strict=True):
                each.copy_(part.view_as(each))

    @torch.no_grad()
    def joined(self, rows: Tensor) -> Tensor:
        """The rows of all processes below each other, in the order of `share`. Collective."""
        return rows if self.size == 1 else torch.cat(self._all(rows))

    def stacked(self, values: Tensor) -> Tensor:
        """Those of all processes, along a new first axis; gradients come back to each. Collective, and so is the
        backward."""
        return values[None] if self.size == 1 else _Stacked.apply(values, self)

    @torch.no_grad()
    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes, in place, what the first one has. Collective."""
        if self.size > 1:
            with _talking():
                for each in tensors:
                    dist.broadcast(each, 0)

    def _all(self, values: Tensor) -> list[Tensor]:
        values = values.contiguous()
        found = [torch.empty_like(values) for _ in range(self.size)]
        with _talking():
            dist.all_gather(found, values)
        return found

    # -- anything else ---------------------------------------------------------------------------------------

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set in any process. Collective."""
        if self.size == 1:
            return flags
        counts = torch.tensor(flags, dtype=torch.int32)
        with _talking():
            dist.all_reduce(counts)
        return tuple(count > 0 for count in counts.tolist())

    def first(self, make: Callable[[], T]) -> T:
        """What the first process makes, given to all; the others make nothing. Collective; a tree of tensors and
        JSON. Also a way to wait until the first process has done something."""
        if self.size == 1:
            return make()
        content = to_bytes(make()) if self.leads else b""
        length = torch.tensor([len(content)])
        with _talking():
            dist.broadcast(length, 0)
            buffer = _bytes(content, int(length))
            dist.broadcast(buffer, 0)
        return from_bytes(buffer.numpy().tobytes())

    def gather(self, tree: T) -> list[T]:
        """What each process has, by rank. Collective; trees of tensors and JSON, of any size."""
        if self.size == 1:
            return [tree]
        content = to_bytes(tree)
        lengths = [int(each) for each in self._all(torch.tensor([len(content)]))]
        buffers = self._all(_bytes(content, max(lengths)))
        return [from_bytes(each.numpy()[:length].tobytes()) for each, length in zip(buffers, lengths, strict=True)]

    def wait(self) -> None:
        """Until all processes are here. Collective."""
        self.any(False)

    # -- work that the first process hands out ------------------------------------------------------------------

    def ask(self, work: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Any]:
        """Have all processes work on items, each on `mine`; the results in their order. For the first process,
        while the others `serve`."""
        if self.size > 1:
            self.first(lambda: {"items": list(items)})
        return self.in_order(work(list(self.mine(items))))

    def serve(self, work: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        """Work on what the first process asks, until it calls `dismiss`. Items come as lists where they were
        tuples."""
        while asked := self.first(_nothing):
            self.in_order(work(list(self.mine(asked["items"]))))

    def dismiss(self) -> None:
        """No more will be asked."""
        self.first(_nothing)


#: a process without others
ALONE = World()


def world() -> World:
    """Of this process: `ALONE` unless it has met others (`enter`)."""
    if not dist.is_initialized():
        return ALONE
    local = dist.get_node_local_rank(fallback_rank=dist.get_rank())
    return World(dist.get_rank(), dist.get_world_size(), local)


def meet(store: dist.Store) -> None:
    """Take note of where the processes have met."""
    _stores.append(dist.PrefixStore(OURS, store))


def speaks_first(code: int) -> bool:
    """Whether this process is the first of its run to tell why it ends, with that exit code.

    What ends one ends all, and is said once. True for a process without others."""
    for store in _stores:
        try:
            if store.add("speakers", 1) > 1:
                return False
            store.set("code", str(code))
        except RuntimeError:
            return False  # whoever kept the store has ended, and said why
    return True


def has_met() -> bool:
    """Whether this process has met others of its run."""
    return bool(_stores)


class _Stacked(torch.autograd.Function):
    """The values of all processes; their gradients are the sums over all processes, as each computes its part."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, world: World) -> Tensor:
        ctx.world = world
        return torch.stack(world._all(values))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        with _talking():
            dist.all_reduce(total)
        return total[ctx.world.rank], None


@contextmanager
def _talking() -> Iterator[None]:
    """What goes wrong between processes is that one is gone."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise LostProcess(
            "a process of this run has ended, and the others with it; run the same command again to go on from the "
            "last saved state"
        ) from error


def _nothing() -> dict[str, Any]:
    return {}


def _bytes(content: bytes, length: int) -> Tensor:
    """As a tensor of that length, filled with zeros."""
    return torch.frombuffer(bytearray(content.ljust(length, b"\0")), dtype=torch.uint8)
