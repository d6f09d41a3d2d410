"""Batches that an evaluation reads, any number of times, without all of them in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from pocketgan.metrics.encoders import as_saved

Item = TypeVar("Item", covariant=True)
Generate = Callable[[Tensor], Tensor]

#: bytes that an evaluation keeps of its inputs, of its targets and of a teacher's answers, each
KEPT = 2 << 30


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
    """What a teacher makes of the inputs, rounded to 8 bits: made once, as far as `most` bytes hold them.

    Iterated, the batches with the answers in place of the targets: pseudo-pairs.
    """

    def __init__(self, batches: Iterable[Pairs], teacher: Generate, device: torch.device, most: int = KEPT) -> None:
        self.batches, self.teacher, self.device, self.left = batches, teacher, device, most
        self._kept: dict[int, Tensor] = {}
        self._listing = Listing()
        self._listed = 0

    def __iter__(self) -> Iterator[Answered]:
        for place, batch in enumerate(self.batches):
            with torch.inference_mode():
                y = self.of(place, batch.x.to(self.device), batch.names)
            yield Answered(batch.x, y, batch.names)

    def of(self, place: int, x: Tensor, names: Sequence[str]) -> Float[Tensor, "batch channels height width"]:
        """The answers to the batch of that place, in [-1, 1]."""
        if place in self._kept:
            return self._kept[place].float() / 127.5 - 1
        y = as_saved(self.teacher(x))
        self.enlist(place, y, names)
        if y.numel() <= self.left:
            self.left -= y.numel()
            self._kept[place] = levels_of(y)
        return y

    def enlist(self, place: int, y: Tensor, names: Sequence[str]) -> None:
        """Take note of the answers to the batch of that place, if they are the next ones."""
        if place == self._listed:
            self._listing.add(y, names)
            self._listed += 1

    @property
    def sha256(self) -> str:
        """Of the answers that were asked for, or told to `enlist`."""
        return self._listing.sha256


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
        pixels = levels_of(images).cpu()
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


def levels_of(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """[-1, 1] to 0..255, rounded and clipped."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
