"""A part of what a network makes, from parts of what it is made of.

Norms with statistics of the image are the one thing in a convolutional network that looks at the whole picture.
Where these statistics are known, a part of a value follows from a part of the image that is a little larger: by its
halo.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Mapping
from functools import cache
from typing import Any

from torch import Tensor, nn

from pocketgan.deploy.exported import Exported
from pocketgan.deploy.joined import Joined
from pocketgan.deploy.regional import Box, Held, Padding, Pointwise, Transposed, Window, of_zeros
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import steps_of
from pocketgan.units import Size

#: pixels of a value around a part of it that may be made again, in every step, so that fewer values are kept
REACH = 4


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
        passed: set[int] = set()
        start = 0
        for before, place in itertools.pairwise(through):
            if self._reach(start, place) > REACH:
                start = before
            if self._reach(start, place) <= REACH:
                passed |= {each for each in kept if start < each < place}
        return kept - passed | (kept & self.of_image)

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
                or not (of_zeros(regional) or isinstance(regional, Pointwise))
            ):
                return math.inf
            if place in self.measured:
                return math.inf
        return reach[end]

    def _joined(self, target: int, kept: frozenset[int]) -> Joined | None:
        order = [place for place, _ in self.order(target, kept)]
        pieces = [piece for place in order if (piece := self.steps[place].piece)]
        if not len(order) == len(pieces) > 1:
            return None
        return Joined(self.steps, order, pieces, frozenset(filter(self.of_same_pixels, order)))

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


def _part(value: Any, held: Box, needed: Box) -> Any:
    """A part of a value, which may be several tensors."""
    return needed.of(value, held) if isinstance(value, Tensor) else [needed.of(each, held) for each in value]
