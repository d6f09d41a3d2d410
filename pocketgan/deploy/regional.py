"""The operations of convolutional networks on a part of a picture: what a part of the output needs of the input,
what a part of the input reaches, and that part itself.

A span is a half-open range of rows (axis 0) or columns (axis 1), counted in the whole picture of its value. What is
needed or reached is cut to what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.units import Size

Span = tuple[int, int]


class Box(NamedTuple):
    """A part of a picture."""

    rows: Span
    columns: Span

    @classmethod
    def whole(cls, size: Size) -> Box:
        return cls((0, size[0]), (0, size[1]))

    @property
    def size(self) -> Size:
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    @property
    def empty(self) -> bool:
        return min(self.size) <= 0

    def joined(self, other: Box | None) -> Box:
        """The smallest part that holds both."""
        if other is None:
            return self
        (a, b), (c, d), (e, f), (g, h) = *self, *other
        return Box((min(a, e), max(b, f)), (min(c, g), max(d, h)))

    def within(self, other: Box) -> Box:
        """The part that both share; it may be empty."""
        (a, b), (c, d), (e, f), (g, h) = *self, *other
        return Box((max(a, e), min(b, f)), (max(c, g), min(d, h)))

    def of(self, x: Tensor, held: Box) -> Tensor:
        """This part of a picture of which `x` holds another, larger one."""
        if held == self:
            return x
        height, width = self.size
        return x.narrow(2, self.rows[0] - held.rows[0], height).narrow(3, self.columns[0] - held.columns[0], width)


@runtime_checkable
class Regional(Protocol):
    """An operation on parts.

    `needs`: the span of an input of `there` rows or columns that a span of the output is made of. `reaches`: the
    span of an output of `made` that depends on a span of such an input. `apply`: the box of the output, from just
    what it needs; `sizes` are those of the whole inputs.
    """

    def needs(self, span: Span, there: int, axis: int) -> Span: ...

    def reaches(self, span: Span, there: int, made: int, axis: int) -> Span: ...

    def apply(self, inputs: Sequence[Any], sizes: Sequence[Size], box: Box) -> Any: ...


@runtime_checkable
class Held(Protocol):
    """Where the whole of a value is."""

    def read(self, box: Box) -> Tensor: ...


class Link(NamedTuple):
    """What an operation takes of a value: all but so many rows and columns at each side, times `mask`."""

    crop: Box
    mask: str = ""


@runtime_checkable
class Joinable(Protocol):
    """Operations that their runtime can carry out together with those of other steps, as one.

    `inputs`: the names of what it takes: values, then mean and variance where it is a norm of the image.
    `joined`: these operations after those of others; `links`, by the names of values, of each, its own last.
    """

    @property
    def inputs(self) -> Sequence[str]: ...

    def joined(self, before: Sequence[Any], links: Sequence[Mapping[str, Link]]) -> Joinable: ...

    def __call__(self, *values: Tensor) -> Any: ...


def _clipped(low: int, high: int, length: int) -> Span:
    return max(0, low), min(length, high)


@dataclass(frozen=True)
class Pointwise:
    """Each pixel is made of the same pixel of the inputs; an input of one pixel serves all."""

    run: Callable[..., Any]

    def needs(self, span: Span, there: int, axis: int) -> Span:
        return (0, 1) if there == 1 else span

    def beyond_edges(self, span: Span, axis: int) -> Span:
        """What is needed of an input as large as the output, where pictures have no edges."""
        return span

    def reaches(self, span: Span, there: int, made: int, axis: int) -> Span:
        return (0, made) if there == 1 else span

    def apply(self, inputs: Sequence[Any], sizes: Sequence[Size], box: Box) -> Any:
        return self.run(*inputs)


@dataclass(frozen=True)
class Window:
    """A convolution or a pooling: a window that moves; beyond the edges lies a constant.

    `run` does it without padding; `pad` is that above and at the left.
    """

    run: Callable[[Tensor], Tensor]
    kernel: Size
    stride: Size
    pad: Size
    dilation: Size = (1, 1)
    beyond: float = 0.0

    def beyond_edges(self, span: Span, axis: int) -> Span:
        """What is needed where pictures have no edges."""
        stride, pad = self.stride[axis], self.pad[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        return span[0] * stride - pad, (span[1] - 1) * stride - pad + reach + 1

    def needs(self, span: Span, there: int, axis: int) -> Span:
        return _clipped(*self.beyond_edges(span, axis), there)

    def reaches(self, span: Span, there: int, made: int, axis: int) -> Span:
        stride, pad = self.stride[axis], self.pad[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        return _clipped(-(-(span[0] + pad - reach) // stride), (span[1] - 1 + pad) // stride + 1, made)

    def apply(self, inputs: Sequence[Any], sizes: Sequence[Size], box: Box) -> Tensor:
        sides: list[int] = []
        for axis in (1, 0):
            low, high = self.beyond_edges(box[axis], axis)
            sides += [max(0, -low), max(0, high - sizes[0][axis])]
        return self.run(F.pad(inputs[0], sides, value=self.beyond) if any(sides) else inputs[0])


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution: each pixel of the input is spread over the output.

    `run` does it without padding and without the `bias`.
    """

    run: Callable[[Tensor], Tensor]
    bias: Tensor | None
    kernel: Size
    stride: Size
    pad: Size
    dilation: Size

    def needs(self, span: Span, there: int, axis: int) -> Span:
        stride, pad = self.stride[axis], self.pad[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        low, high = _clipped(-(-(span[0] + pad - reach) // stride), (span[1] - 1 + pad) // stride + 1, there)
        low = min(low, there - 1)  # rows that no pixel is spread to are made of something, too
        return low, max(high, low + 1)

    def reaches(self, span: Span, there: int, made: int, axis: int) -> Span:
        stride, pad = self.stride[axis], self.pad[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        return _clipped(span[0] * stride - pad, (span[1] - 1) * stride - pad + reach + 1, made)

    def apply(self, inputs: Sequence[Any], sizes: Sequence[Size], box: Box) -> Tensor:
        y = self.run(inputs[0])
        for axis in (0, 1):
            first = self.needs(box[axis], sizes[0][axis], axis)[0] * self.stride[axis] - self.pad[axis]
            start, length = box[axis][0] - first, box[axis][1] - box[axis][0]
            if (missing := start + length - y.shape[axis + 2]) > 0:
                y = F.pad(y, (0, 0, 0, missing) if axis == 0 else (0, missing))
            y = y.narrow(axis + 2, start, length)
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1)


@dataclass(frozen=True)
class Padding:
    """Rows and columns around a picture: its own, mirrored or repeated, or a constant. `before`: those above and at
    the left."""

    mode: Literal["reflect", "replicate", "constant"]
    before: Size
    value: float = 0.0

    def _places(self, span: Span, there: int, axis: int) -> Tensor:
        """Where each row or column of the output is in the input; beyond it for the constant."""
        place = torch.arange(*span) - self.before[axis]
        if self.mode == "reflect":
            place = place.abs()
            return torch.where(place >= there, 2 * (there - 1) - place, place)
        return place.clamp(0, there - 1) if self.mode == "replicate" else place

    def beyond_edges(self, span: Span, axis: int) -> Span:
        """What is needed where pictures have no edges."""
        return span[0] - self.before[axis], span[1] - self.before[axis]

    def needs(self, span: Span, there: int, axis: int) -> Span:
        low, high = self.beyond_edges(span, axis)
        if low >= 0 and high <= there:
            return low, high
        place = self._places(span, there, axis).clamp(0, there - 1)
        return int(place.min()), int(place.max()) + 1

    def reaches(self, span: Span, there: int, made: int, axis: int) -> Span:
        before = self.before[axis]
        if span[0] > before and span[1] < there - (made - before - there):  # no row that is mirrored or repeated
            return span[0] + before, span[1] + before
        place = self._places((0, made), there, axis)
        hit = torch.nonzero((place >= span[0]) & (place < span[1])).flatten()
        return int(hit[0]), int(hit[-1]) + 1

    def apply(self, inputs: Sequence[Any], sizes: Sequence[Size], box: Box) -> Tensor:
        x: Tensor = inputs[0]
        for axis in (0, 1):
            span, there, before = box[axis], sizes[0][axis], self.before[axis]
            if span[0] >= before and span[1] - before <= there:
                continue
            place = self._places(span, there, axis).to(x.device)
            x = x.index_select(axis + 2, place.clamp(0, there - 1) - self.needs(span, there, axis)[0])
            if self.mode == "constant":
                beyond = (place < 0) | (place >= there)
                x = x.masked_fill(beyond[:, None] if axis == 0 else beyond, self.value)
        return x


@dataclass(frozen=True)
class Resampling:
    """Nearest or linear interpolation. `places`: for rows and for columns, where each of the output lies in the
    input, in its pixels; between two of them it is made of both."""

    places: tuple[Tensor, Tensor]
    lists: tuple[list[float], list[float]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", tuple(place.tolist() for place in self.places))

    def needs(self, span: Span, there: int, axis: int) -> Span:
        first, last = self.lists[axis][span[0]], self.lists[axis][span[1] - 1]
        return int(first), min(there, int(last) + 1 + (last % 1 > 0))

    def reaches(self, span: Span, there: int, made: int, axis: int) -> Span:
        hit = torch.nonzero((self.places[axis] > span[0] - 1) & (self.places[axis] < span[1])).flatten()
        return (int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, 0)

    def apply(self, inputs: Sequence[Any], sizes: Sequence[Size], box: Box) -> Tensor:
        x: Tensor = inputs[0]
        for axis in (0, 1):
            place = self.places[axis][box[axis][0] : box[axis][1]].to(x.device)
            first, share = place.long(), place % 1
            start = self.needs(box[axis], sizes[0][axis], axis)[0]
            low = x.index_select(axis + 2, first - start)
            if share.any():
                high = x.index_select(axis + 2, (first + (share > 0)).clamp_max(sizes[0][axis] - 1) - start)
                share = share.to(x.dtype)
                low = torch.lerp(low, high, share[:, None] if axis == 0 else share)
            x = low
        return x


@dataclass(frozen=True)
class PixelShuffle:
    """Channels become rows and columns."""

    factor: int

    def needs(self, span: Span, there: int, axis: int) -> Span:
        return span[0] // self.factor, -(-span[1] // self.factor)

    def reaches(self, span: Span, there: int, made: int, axis: int) -> Span:
        return span[0] * self.factor, span[1] * self.factor

    def apply(self, inputs: Sequence[Any], sizes: Sequence[Size], box: Box) -> Tensor:
        top, left = (box[axis][0] // self.factor * self.factor for axis in (0, 1))
        made = F.pixel_shuffle(inputs[0], self.factor)
        return box.of(made, Box((top, top + made.shape[2]), (left, left + made.shape[3])))


def of_zeros(regional: Regional) -> bool:
    """Whether beyond the edges of the picture lies 0 for it."""
    if isinstance(regional, Window):
        return any(regional.pad) and regional.beyond == 0
    return isinstance(regional, Padding) and regional.mode == "constant" and regional.value == 0
