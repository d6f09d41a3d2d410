"""A part of what a network makes, from parts of what it is made of.

Norms with statistics of the image are the one thing in a convolutional network that looks at the whole picture.
Where these statistics are known, a part of a value follows from a part of the image that is a little larger: by its
halo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from pocketgan.deploy.exported import Exported
from pocketgan.deploy.regional import Box, Padding, Pointwise, Regional, Transposed, Window
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import Joinable, steps_of
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

        seen: those of them that must be there where the statistics are known. Of the others, only the same pixels
            of one further value are made, and with that they are made again.

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
        self.seen = frozenset(place for place in self.kept if not self._passing(place))
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
        boxes, needs = {target: box}, {}
        for place, _ in reversed(order):
            needs[place] = self._needs(place, boxes[place])
            for source, needed in needs[place]:
                boxes[source] = needed.joined(boxes.get(source))
        if (joined := self.joined(target, kept)) and joined.serves(boxes, needs):
            return joined(boxes, held, statistics)
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

    def _passing(self, place: int) -> bool:
        """Whether pixel by pixel a single kept value is made of this one."""
        while place not in (0, self.last) and len(self.users[place]) == 1:
            (place,) = self.users[place]
            if not _of_same_pixels(self.steps[place].regional):
                return False
            if place in self.kept:
                return True
        return False

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

    A padding that mirrors or repeats commutes with what is done pixel by pixel. So a padding behind such operations
    is done to the kept value; where any other step meets an edge of the picture, the steps are done one by one.
    """

    def __init__(self, regions: Regions, order: Sequence[int], pieces: Sequence[Joinable]) -> None:
        self.steps, self.order, self.measured = regions.steps, order, regions.measured
        self.piece = pieces[-1].joined(pieces[:-1])
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

    def _padded(self, place: int) -> int | None:
        """The kept value that may be padded in place of what is made of it, where this step is a padding."""
        regional = self.steps[place].regional
        if not isinstance(regional, Padding):
            return None
        (source,) = self.steps[place].inputs
        while source in self.order:
            step = self.steps[source]
            alone = isinstance(step.regional, Pointwise) and len(step.inputs) == self.uses[source] == 1
            if regional.mode == "constant" or not alone:
                return None
            (source,) = step.inputs
        return source if self.uses[source] == 1 else None

    def serves(self, boxes: Mapping[int, Box], needs: Mapping[int, list[tuple[int, Box]]]) -> bool:
        """Whether each value is needed in one part alone, and no step meets an edge."""
        early = self.first.values()
        return all(
            needed == boxes[source]
            and (place in early or _inside(self.steps[place].regional, boxes[place], self.steps[source].size))
            for place in self.order
            for source, needed in needs[place]
        )

    def __call__(
        self, boxes: Mapping[int, Box], held: Mapping[int, Held], statistics: Mapping[int, Statistics]
    ) -> Tensor:
        inputs = []
        for name in self.piece.inputs:
            if name in self.of_norms:
                place, which = self.of_norms[name]
                inputs.append(getattr(statistics[place], which).float())
                continue
            source = self.values[name]
            part = held[source].read(boxes[source])
            if (padding := self.first.get(source)) is not None:
                part = self.steps[padding].regional.apply([part], [self.steps[source].size], boxes[padding])
            inputs.append(part)
        return self.piece(*inputs)  # type: ignore[no-any-return]


def _of_same_pixels(regional: Regional) -> bool:
    """Whether each pixel is made of the same pixel alone."""
    if isinstance(regional, Window):
        return regional.kernel == regional.stride == (1, 1) and not any(regional.pad)
    return isinstance(regional, Pointwise)


def _inside(regional: Regional, box: Box, size: Size) -> bool:
    """Whether a part of the output has nothing to do with the edges of an input of that size."""
    return isinstance(regional, Pointwise) or (
        isinstance(regional, Window | Padding) and regional.inside(box, size)
    )


def _part(value: Any, held: Box, needed: Box) -> Any:
    """A part of a value, which may be several tensors."""
    return needed.of(value, held) if isinstance(value, Tensor) else [needed.of(each, held) for each in value]
