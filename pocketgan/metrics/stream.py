"""Batches that an evaluation reads, any number of times, without all of them in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from pocketgan.metrics.encoders import as_saved

Item = TypeVar("Item", covariant=True)
Generate = Callable[[Tensor], Tensor]


@runtime_checkable
class Pairs(Protocol):
    """A batch: inputs; their targets in [-1, 1] (none of unpaired data: zero rows); and a name an input."""

    @property
    def x(self) -> Tensor: ...

    @property
    def y(self) -> Tensor: ...

    @property
    def names(self) -> Sequence[str]: ...


@runtime_checkable
class Reals(Protocol):
    """A batch of real images in [-1, 1], with their names."""

    @property
    def y(self) -> Tensor: ...

    @property
    def names(self) -> Sequence[str]: ...


class Stream(Generic[Item]):
    """Batches that are made anew for every reading: ``Stream(lambda: evaluation_batches(examples, 16))``."""

    def __init__(self, make: Callable[[], Iterable[Item]]):
        self.make = make

    def __iter__(self) -> Iterator[Item]:
        return iter(self.make())


class Answered(NamedTuple):
    """Inputs with a generator's answers as their targets."""

    x: Tensor
    y: Tensor
    names: Sequence[str]


class Answers:
    """The batches with the targets replaced by what a teacher makes of the inputs: pseudo-pairs."""

    def __init__(self, batches: Iterable[Pairs], teacher: Generate, device: torch.device):
        self.batches, self.teacher, self.device = batches, teacher, device

    def __iter__(self) -> Iterator[Answered]:
        for batch in self.batches:
            with torch.inference_mode():
                y = as_saved(self.teacher(batch.x.to(self.device)))
            yield Answered(batch.x, y, batch.names)


class ImageList(BaseModel):
    """Exactly which images: their names in order, and the SHA-256 of their sizes and 8-bit pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    sha256: str


class Listing:
    """Makes an ImageList batch by batch."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.images = 0
        self.alike = True
        self._digest = hashlib.sha256()
        self._first: Tensor | None = None

    def add(self, images: Tensor, names: Sequence[str]) -> None:
        """images: in [-1, 1], or planes of 0 and 1."""
        if not len(images):
            return
        pixels = ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()
        self.names += names
        self.images += len(images)
        self._first = pixels[:1] if self._first is None else self._first
        self.alike = (
            self.alike and pixels.shape[1:] == self._first.shape[1:] and bool((pixels == self._first).all())
        )
        for image in pixels.numpy():
            self._digest.update(repr(image.shape).encode() + image.tobytes())

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def finish(self) -> ImageList:
        return ImageList(names=tuple(self.names), sha256=self.sha256)
