"""A part of what a network makes, from parts of what it is made of.

Norms with statistics of the image are the one thing in a convolutional network that looks at the whole picture.
Where these statistics are known, a part of a value follows from a part of the image that is a little larger: by its
halo.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cache
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from pocketgan.deploy.exported import Exported
from pocketgan.deploy.regional import Box, Transposed, Window
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import steps_of
from pocketgan.units import Size


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

    Raises `Untileable` for a network that looks at the whole picture by more than norms.
    """

    def __init__(self, network: nn.Module, size: Size, channels: int = 3) -> None:
        self.steps = network.steps(size) if isinstance(network, Exported) else steps_of(network, size, channels)
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
        self.order = cache(self._order)

    def run(self, image: Tensor, keep: Container[int] = ()) -> tuple[dict[int, Tensor], dict[int, Statistics]]:
        """The values to keep and the picture, of a whole image; and the statistics of the measured ones."""
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

    def _made(self, place: int, inputs: list[Any], box: Box, statistics: Mapping[int, Statistics]) -> Any:
        step = self.steps[place]
        if step.norm:
            return step.norm(inputs[0], statistics[step.inputs[0]])
        return step.regional.apply(inputs, [self.steps[source].size for source in step.inputs], box)

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
