"""Steps of a network that their runtime carries out as one, on a part of a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.deploy.regional import Box, Held, Joinable, Link, Padding, Pointwise, Window, of_zeros
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.steps import Step


class Joined:
    """The steps from kept values to one, which their runtime carries out as one.

    Boxes go beyond the edges of the picture here, as if it went on. What a convolution with zeros around its input
    takes from beyond is made 0 before. A padding that mirrors or repeats commutes with what is done pixel by pixel:
    so one behind such operations is done to the kept value. Where any other step meets an edge, the steps are done
    one by one.

    Args:
        steps: all of the network.
        order: the places of these steps.
        pieces: what their runtime takes them for.
        of_same_pixels: those of them whose pixels are made of the same pixel alone.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        order: Sequence[int],
        pieces: Sequence[Joinable],
        of_same_pixels: frozenset[int],
    ) -> None:
        self.steps, self.order, self.pieces, self.of_same_pixels = steps, order, pieces, of_same_pixels
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
        if of_zeros(regional):
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
        needed = source in self.order and of_zeros(self.steps[place].regional)
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
