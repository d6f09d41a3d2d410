"""A part of what a network makes, from parts of what it is made of.

Norms with statistics of the image are the one thing in a convolutional network that looks at the whole picture.
Where these statistics are known, a part of a value follows from a part of the image that is a little larger: by its
halo.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.deploy.exported import Exported
from pocketgan.deploy.regional import Box, Padding, Pointwise, Regional, Transposed, Window
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import Joinable, Link, steps_of
from pocketgan.units import Size

#: pixels of a value around a part of it that may be made again, in every step, so that fewer values are kept
REACH = 4


@runtime_checkable
class Held(Protocol):
    """Where the whole of a value is."""

    def read(self, box: Box) -> Tensor: ...


class Regions:
    """A network in evaluation mode on one image of one size, as values by number: 0 is the image, the last one the
    picture.

    Attributes:
        steps: how each value is made.
        measured: the values whose statistics norms use.
        kept: those that are dear to make again, which further ones are made of: the image, convolutions, what norms
            measure, sums that go several ways, and the picture.

        seen: those of them that are there where the statistics are known. Of the others, only the same pixels of
            one further value are made, or those near them (`REACH`), and with that they are made again.

    Raises `Untileable` for a network that looks at the whole picture by more than norms.
    """

    def __init__(self, network: nn.Module, size: Size, channels: int = 3) -> None:
        known = network.steps(size) if isinstance(network, Exported) else steps_of(network, size, channels)
        self.steps, self.at_once = known
        self.last = len(self.steps) - 1
        self.users: list[list[int]] = [[] for _ in self.steps]
        for place, step in enumerate(self.steps):
            for source in step.inputs:
                self.users[source].append(place)
        self.measured = frozenset(step.inputs[0] for step in self.steps if step.norm)
        self.kept = frozenset(
            place
            for place, step in enumerate(self.steps)
            if place in (0, self.last, *self.measured)
            or isinstance(step.regional, Window | Transposed)
            or (len(step.inputs) > 1 and len(self.users[place]) > 1)
        )
        #: made of the image pixel by pixel
        self.of_image = {0}
        for place, step in enumerate(self.steps):
            if step.inputs and self.of_same_pixels(place) and self.of_image.issuperset(step.inputs):
                self.of_image.add(place)
        self.seen = self._seen()
        self.order = cache(self._order)
        self.joined = cache(self._joined)

    def run(self, image: Tensor, keep: Container[int] = ()) -> tuple[dict[int, Tensor], dict[int, Statistics]]:
        """The values to keep and the picture, of a whole image; and the statistics of the measured ones."""
        if self.at_once:
            also = {*self.measured, self.last}
            wanted = [place for place in range(self.last + 1) if place in also or place in keep]
            found = dict(zip(wanted, self.at_once(image, wanted), strict=True))
            return found, {place: Statistics.of(found[place]) for place in self.measured}
        values: dict[int, Any] = {0: image}
        statistics: dict[int, Statistics] = {}
        for place, step in enumerate(self.steps):
            if step.inputs:
                box = Box.whole(step.size)
                inputs = [
                    _part(values[source], Box.whole(self.steps[source].size), needed)
                    for source, needed in self._needs(place, box)
                ]
                values[place] = self._made(place, inputs, box, statistics)
            if place in self.measured:
                statistics[place] = Statistics.of(values[place])
            for source in step.inputs:
                if source not in keep and self.users[source][-1] == place:
                    del values[source]
        return values, statistics

    def compute(
        self,
        target: int,
        box: Box,
        held: Mapping[int, Held],
        statistics: Mapping[int, Statistics],
        kept: frozenset[int],
    ) -> Tensor:
        """A part of a value, from parts of the `kept` ones, of which `held` has those that it takes."""
        order = self.order(target, kept)
        if (joined := self.joined(target, kept)) and (made := joined(box, held, statistics)) is not None:
            return made
        boxes, needs = {target: box}, {}
        for place, _ in reversed(order):
            needs[place] = self._needs(place, boxes[place])
            for source, needed in needs[place]:
                boxes[source] = needed.joined(boxes.get(source))
        values: dict[int, Any] = {}
        for place, forgotten in order:
            inputs = []
            for source, needed in needs[place]:
                if source not in values:
                    values[source] = held[source].read(boxes[source])
                inputs.append(_part(values[source], boxes[source], needed))
            values[place] = self._made(place, inputs, boxes[place], statistics)
            for source in forgotten:
                del values[source]
        return values[target]  # type: ignore[no-any-return]

    def sources(self, target: int, kept: frozenset[int]) -> set[int]:
        """The kept values that a value is made of."""
        return {source for place, _ in self.order(target, kept) for source in self.steps[place].inputs} & kept

    def reached(self, target: int, changed: Mapping[int, Box], kept: frozenset[int]) -> Box | None:
        """The part of a value that depends on what changed in the kept values that it is made of."""
        found: dict[int, Box] = dict(changed)
        for place, _ in self.order(target, kept):
            step, whole = self.steps[place], None
            for source in step.inputs:
                if (seen := found.get(source)) is not None:
                    there = self.steps[source].size
                    own = Box(*(step.regional.reaches(seen[i], there[i], step.size[i], i) for i in (0, 1)))
                    whole = whole if own.empty else own.joined(whole)
            if whole is not None:
                found[place] = whole
        return found.get(target)

    def of_same_pixels(self, place: int) -> bool:
        """Whether each pixel is made of the same pixel alone."""
        step = self.steps[place]
        if isinstance(step.regional, Window):
            return step.regional.kernel == step.regional.stride == (1, 1) and not any(step.regional.pad)
        if isinstance(step.regional, Padding):
            return self.steps[step.inputs[0]].size == step.size and not any(step.regional.before)
        return isinstance(step.regional, Pointwise)

    def _made(self, place: int, inputs: list[Any], box: Box, statistics: Mapping[int, Statistics]) -> Any:
        step = self.steps[place]
        if step.norm:
            return step.norm(inputs[0], statistics[step.inputs[0]])
        return step.regional.apply(inputs, [self.steps[source].size for source in step.inputs], box)

    def _passing(self, place: int) -> bool:
        """Whether pixel by pixel a single kept value is made of this one."""
        while place not in (0, self.last) and len(self.users[place]) == 1:
            (place,) = self.users[place]
            if not self.of_same_pixels(place):
                return False
            if place in self.kept:
                return True
        return False

    def _seen(self) -> frozenset[int]:
        """Between two values that all later ones are made of, none is kept where that makes few pixels again."""
        kept = frozenset(place for place in self.kept if not self._passing(place))
        through = [place for place in sorted(kept) if place not in self.of_image or place == 0]
        for place, step in enumerate(self.steps):
            sources = set(step.inputs) - self.of_image
            through = [each for each in through if not (sources and min(sources) < each < place)]
        left, start = set(kept), 0
        for before, place in itertools.pairwise(through):
            if self._reach(start, place) > REACH:
                start = before
            if self._reach(start, place) <= REACH:
                left -= {each for each in kept if start < each < place} - self.of_image
        return frozenset(left)

    def _reach(self, start: int, end: int) -> float:
        """How many pixels around a part of a value are made again where none is kept between it and another."""
        reach: dict[int, float] = {start: 0.0, **dict.fromkeys(self.of_image, 0.0)}
        for place in range(start + 1, end + 1):
            step = self.steps[place]
            if place in self.of_image or not (sources := [reach[each] for each in step.inputs if each in reach]):
                continue
            regional, reach[place] = step.regional, max(sources)
            if isinstance(regional, Window) and not regional.beyond:
                around = max(regional.dilation[axis] * (regional.kernel[axis] - 1) / 2 for axis in (0, 1))
                reach[place] = 1.0 * math.ceil((reach[place] + around) / min(regional.stride))
            elif (
                step.norm
                or len(sources) < len(step.inputs)
                or not (_of_zeros(regional) or isinstance(regional, Pointwise))
            ):
                return math.inf
            if place in self.measured:
                return math.inf
        return reach[end]

    def _joined(self, target: int, kept: frozenset[int]) -> _Joined | None:
        order = [place for place, _ in self.order(target, kept)]
        pieces = [piece for place in order if (piece := self.steps[place].piece)]
        return _Joined(self, order, pieces) if len(order) == len(pieces) > 1 else None

    def _needs(self, place: int, box: Box) -> list[tuple[int, Box]]:
        needs, found = self.steps[place].regional.needs, []
        for source in self.steps[place].inputs:
            rows, columns = self.steps[source].size
            found.append((source, Box(needs(box.rows, rows, 0), needs(box.columns, columns, 1))))
        return found

    def _order(self, target: int, kept: frozenset[int]) -> list[tuple[int, list[int]]]:
        """The values to make from the kept ones on the way to the target, which is made in any case; with each,
        those that nothing needs after it."""
        found: set[int] = set()
        left = [target]
        while left:
            place = left.pop()
            if place not in found:
                found.add(place)
                left += [source for source in self.steps[place].inputs if source not in kept]
        last = {source: place for place in sorted(found) for source in self.steps[place].inputs}
        return [(place, [source for source in last if last[source] == place]) for place in sorted(found)]


class _Joined:
    """The steps from kept values to one, which their runtime carries out as one.

    Boxes go beyond the edges of the picture here, as if it went on. What a convolution with zeros around its input
    takes from beyond is made 0 before. A padding that mirrors or repeats commutes with what is done pixel by pixel:
    so one behind such operations is done to the kept value. Where any other step meets an edge, the steps are done
    one by one.
    """

    def __init__(self, regions: Regions, order: Sequence[int], pieces: Sequence[Joinable]) -> None:
        self.steps, self.order, self.pieces = regions.steps, order, pieces
        self.of_same_pixels = frozenset(place for place in order if regions.of_same_pixels(place))
        self.uses = Counter(source for place in order for source in self.steps[place].inputs)
        #: by the name of an input: the value, or the value whose mean or variance it is
        self.values: dict[str, int] = {}
        self.of_norms: dict[str, tuple[int, str]] = {}
        for place, piece in zip(order, pieces, strict=True):
            sources = self.steps[place].inputs
            self.values.update(zip(piece.inputs, sources, strict=False))
            if self.steps[place].norm:
                mean, variance = piece.inputs[1:]
                self.of_norms[mean], self.of_norms[variance] = (sources[0], "mean"), (sources[0], "variance")
        #: the paddings of kept values, by these
        self.first = {source: place for place in order if (source := self._padded(place)) is not None}
        self.crops = {
            (place, source): self._crop(place, source) for place in order for source in self.sources(place)
        }
        self.at_edges = all(self._serves_at_edges(place) for place in order)
        self.piece = cache(self._piece)

    def sources(self, place: int) -> Sequence[int]:
        return tuple(dict.fromkeys(self.steps[place].inputs))

    def _padded(self, place: int) -> int | None:
        """The kept value that may be padded in place of what is made of it, where this step is a padding."""
        regional = self.steps[place].regional
        if not isinstance(regional, Padding):
            return None
        (source,) = self.steps[place].inputs
        while source in self.order:
            inputs = self.steps[source].inputs
            alone = source in self.of_same_pixels and len(inputs) == self.uses[source] == 1
            if regional.mode == "constant" or not alone:
                return None
            (source,) = inputs
        return source if self.uses[source] == 1 else None

    def _serves_at_edges(self, place: int) -> bool:
        regional = self.steps[place].regional
        if place in self.of_same_pixels or place in self.first.values():
            return True
        if _of_zeros(regional):
            return self.steps[place].inputs[0] not in self.first
        return isinstance(regional, Window) and not any(regional.pad)

    def _boxes(self, box: Box) -> tuple[dict[int, Box], dict[tuple[int, int], Box]]:
        """The part of each value that a part of the last one is made of, and what each step takes of it."""
        boxes, taken = {self.order[-1]: box}, {}
        for place in reversed(self.order):
            regional, own = self.steps[place].regional, boxes[place]
            assert isinstance(regional, Window | Padding | Pointwise), "others cannot be joined"
            for source in self.sources(place):
                if self.steps[source].size == (1, 1) != self.steps[place].size:
                    needed = Box.whole((1, 1))  # one pixel that serves all
                else:
                    needed = Box(regional.beyond_edges(own.rows, 0), regional.beyond_edges(own.columns, 1))
                taken[place, source] = needed
                boxes[source] = needed.joined(boxes.get(source))
        return boxes, taken

    def _crop(self, place: int, source: int) -> Box:
        """How many rows and columns of what there is of a value, at each side, a step does not take: however large
        the part is."""
        boxes, taken = self._boxes(Box((0, 1), (0, 1)))
        have, take = boxes[source], taken[place, source]
        return Box(*((own[0] - all_[0], all_[1] - own[1]) for own, all_ in zip(take, have, strict=True)))

    def _piece(self, masked: bool) -> Joinable:
        links = [
            {
                name: Link(self.crops[place, source], self._mask(place, source) if masked else "")
                for name, source in zip(piece.inputs, self.steps[place].inputs, strict=False)
            }
            for place, piece in zip(self.order, self.pieces, strict=True)
        ]
        return self.pieces[-1].joined(self.pieces[:-1], links)

    def _mask(self, place: int, source: int) -> str:
        """The name of the mask of what a step takes of a value that is made on the way; empty: it needs none."""
        needed = source in self.order and _of_zeros(self.steps[place].regional)
        return f"mask:{place}" if needed else ""

    def __call__(self, box: Box, held: Mapping[int, Held], statistics: Mapping[int, Statistics]) -> Tensor | None:
        """The part of the last value; None where it meets an edge that these steps cannot take as one."""
        boxes, taken = self._boxes(box)
        whole = {place: Box.whole(self.steps[place].size) for place in boxes}
        inside = all(part.within(whole[place]) == part for place, part in boxes.items())
        if not (inside or self.at_edges):
            return None
        inputs = []
        for name in (piece := self.piece(not inside)).inputs:
            if name in self.of_norms:
                place, which = self.of_norms[name]
                inputs.append(getattr(statistics[place], which).float())
            elif name.startswith("mask:"):
                place = int(name.removeprefix("mask:"))
                (source,) = self.sources(place)
                inputs.append(_mask(taken[place, source], whole[source]))
            else:
                inputs.append(self._read(self.values[name], boxes, held))
        return piece(*inputs)  # type: ignore[no-any-return]

    def _read(self, source: int, boxes: Mapping[int, Box], held: Mapping[int, Held]) -> Tensor:
        """A part of a kept value, and what lies beyond its edges."""
        size, box = self.steps[source].size, boxes[source]
        if (padding := self.first.get(source)) is not None:
            regional, own = self.steps[padding].regional, boxes[padding]
            needed = Box(*(regional.needs(own[axis], size[axis], axis) for axis in (0, 1)))
            return regional.apply([held[source].read(needed)], [size], own)
        there = box.within(Box.whole(size))
        part = held[source].read(there)
        return part if there == box else F.pad(part, _sides(there, box))


def _sides(part: Box, of: Box) -> list[int]:
    """How much of a box lies left, right, above and below of a part of it."""
    (top, bottom), (left, right) = part
    (first, last), (start, end) = of
    return [left - start, end - right, top - first, last - bottom]


def _mask(box: Box, picture: Box) -> Tensor:
    """One where a box is within the picture, else 0."""
    there = box.within(picture)
    return F.pad(torch.ones(1, 1, *there.size), _sides(there, box))


def _of_zeros(regional: Regional) -> bool:
    """Whether beyond the edges of the picture lies 0 for it."""
    if isinstance(regional, Window):
        return any(regional.pad) and regional.beyond == 0
    return isinstance(regional, Padding) and regional.mode == "constant" and regional.value == 0


def _part(value: Any, held: Box, needed: Box) -> Any:
    """A part of a value, which may be several tensors."""
    return needed.of(value, held) if isinstance(value, Tensor) else [needed.of(each, held) for each in value]
