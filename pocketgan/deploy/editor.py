"""Editing an image and seeing its picture at once: only what an edit changes is made anew.

Source: Li et al., Efficient Spatially Sparse Inference for Conditional GANs and Diffusion Models, NeurIPS 2022: the
values of all layers are kept, an edit makes a part of each anew, and norms go on with the statistics that they had.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.deploy.exported import Exported, open_model
from pocketgan.deploy.inputs import shipped
from pocketgan.deploy.regional import Box
from pocketgan.deploy.regions import Regions
from pocketgan.deploy.statistics import Statistics
from pocketgan.deploy.tiles import Whole
from pocketgan.errors import DataError
from pocketgan.networks import Generator
from pocketgan.units import Size

#: pixels around an edit that are made anew with it
MARGIN = 8
#: how far fast edits may move the statistics of norms, in standard deviations, before all is made anew; measured in
#: benchmarks/editing.py: below, pictures are near to a full recompute, and beyond they may be anything
DRIFT = 0.05
#: rows and columns of an edit: top, left, bottom, right, half-open
Place = tuple[int, int, int, int]


class Edited(NamedTuple):
    """The picture after an edit.

    Attributes:
        place: the part of it that was made anew.
        exact: whether it is that of a full recompute: bit for bit where the edit asked for that, else but for
            rounding.
        drift: how far fast edits have moved the statistics of norms from those in use, see `Statistics.apart`; at
            least so far, where all was made anew.
    """

    picture: Float[Tensor, "out height width"]
    place: Place
    exact: bool
    drift: float


class Error(NamedTuple):
    """How far a picture was from a full recompute: largest difference, and PSNR in dB, infinite where equal."""

    largest: float
    psnr: float


class Editor:
    """An image that is edited, and its picture.

        >>> import torch, pocketgan as pg
        >>> editor = pg.Editor("mobile-resnet:8", torch.zeros(3, 64, 64))
        >>> edited = editor.edit((8, 8, 20, 24), torch.ones(3, 12, 16))
        >>> edited.place
        (0, 0, 28, 32)
        >>> editor.edit((8, 8, 20, 24), torch.zeros(3, 1, 1), exact=True).exact
        True

    A fast edit makes its box and a margin around it anew in every layer; all else stays as it was, and so do the
    statistics of norms. Where an edit would move these too far (`DRIFT`), all is made anew after all. `settle` says
    how far fast edits are from a full recompute, and makes it. Memory: the values of most layers.

    Args:
        model: a module, or where one is: a model folder, a run folder, an ONNX file, or a spec.
        image: (channels, height, width) in [-1, 1].
        margin: pixels around an edit that are made anew, too; None: all that it reaches.

    Raises `SpecError` for a size that the network cannot take, and for one that looks at the whole picture by more
    than norms; `DataError` for an image of other channels.
    """

    def __init__(
        self,
        model: nn.Module | Path | str,
        image: Float[Tensor, "in height width"],
        *,
        margin: int | None = MARGIN,
    ) -> None:
        if isinstance(model, nn.Module):
            network, spec = model, model.spec if isinstance(model, Generator) else None
        else:
            network, spec, _ = open_model(str(model))
        if spec:
            if len(image) != spec.in_channels:
                raise DataError(
                    f"the image has {len(image)} channels, and the network takes {spec.in_channels}; give it these"
                )
            spec.check_size(image.shape[1], image.shape[2])
        self.image = image.detach().float().clone()[None]
        self.cached = _Cached(network, self.image, margin)
        self._picture = self.cached.anew(self.image)
        # runtimes prepare what they need when it is first used: at an edge and away from it, before the first edit
        for row, column in ((0, 0), (image.shape[1] // 2, image.shape[2] // 2)):
            self.cached.part(self.image, Box((row, row + 1), (column, column + 1)))

    @property
    def picture(self) -> Float[Tensor, "out height width"]:
        """As it is now."""
        return self._picture[0].clone()

    @torch.no_grad()
    def edit(self, box: Place, pixels: Tensor, *, exact: bool = False) -> Edited:
        """Put pixels into the image, and make its picture.

        Args:
            box: top, left, bottom and right of the edit, half-open.
            pixels: (channels, height, width) of the box, in [-1, 1]; a one stands for a colour of all of it.
            exact: recompute all: the picture is, bit for bit, what the network makes of the image.

        Raises `DataError` for a box that is not within the image, or pixels of another shape.
        """
        top, left, bottom, right = box
        height, width = self.image.shape[2:]
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise DataError(
                f"an edit lies within the image of {height} x {width} pixels, and {box} (top, left, bottom, right) "
                "does not; cut it"
            )
        place = self.image[0, :, top:bottom, left:right]
        try:
            place.copy_(torch.as_tensor(pixels).to(place))
        except RuntimeError as error:
            raise DataError(
                f"pixels of the edit have the shape {tuple(place.shape)}, not {tuple(pixels.shape)}; cut them"
            ) from error
        drift = 0.0
        if not exact:
            made, drift = self.cached.part(self.image, Box((top, bottom), (left, right)))
            if made:
                (rows, columns), part = made
                self._picture[:, :, slice(*rows), slice(*columns)] = part
                return Edited(self.picture, (rows[0], columns[0], rows[1], columns[1]), False, drift)
        self._picture = (self.cached.whole if exact else self.cached.anew)(self.image)
        return Edited(self.picture, (0, 0, self._picture.shape[2], self._picture.shape[3]), True, drift)

    @torch.no_grad()
    def settle(self) -> Error:
        """Recompute all, and say how far the picture was from that after the fast edits since the last time."""
        before, self._picture = self._picture, self.cached.whole(self.image)
        difference = (before - self._picture).double()
        mean = float(difference.square().mean())
        return Error(float(difference.abs().max()), 10 * math.log10(4 / mean) if mean else math.inf)


class _Cached:
    """Keeps what the network made of the image, layer by layer."""

    def __init__(self, network: nn.Module, image: Tensor, margin: int | None) -> None:
        self.network = network if isinstance(network, Exported) else shipped(network)
        self.margin = margin
        self.regions = Regions(self.network, (image.shape[2], image.shape[3]), image.shape[1])
        kept = self.regions.seen
        self.sources = {place: self.regions.sources(place, kept) for place in sorted(kept)[1:]}
        self.held: dict[int, Whole] = {}
        self.statistics: dict[int, Statistics] = {}
        norms = sorted(self.regions.measured & kept)
        #: drift grows from norm to norm: it is looked at after a quarter of them, half and all
        self.watched = {norms[len(norms) * share // 4 - 1] for share in (1, 2, 4)} if norms else set()
        self.moved: dict[int, Statistics] = {}

    def whole(self, image: Tensor) -> Tensor:
        """The picture of the image, as the network itself makes it."""
        self.held.clear()  # what was kept is of another image; it is made when it is needed
        self.before = image.clone()
        made: Tensor = self.network(image)
        return made

    @torch.no_grad()
    def anew(self, image: Tensor) -> Tensor:
        """The picture of the image, and all that is kept."""
        self.held.clear()  # so that its memory serves again
        values, self.statistics = self.regions.run(image, self.regions.seen)
        self.held = {
            place: Whole(value.clone() if place == 0 else value)
            for place, value in values.items()
            if place in self.regions.seen
        }
        self.moved = {place: self.statistics[place] for place in self.watched}
        return values[self.regions.last].clone()

    @torch.inference_mode()
    def part(self, image: Tensor, box: Box) -> tuple[tuple[Box, Tensor] | None, float]:
        """Which part of the picture a change in a box of the image concerns, and that part anew; None as soon as it
        moves the statistics too far. And the drift."""
        regions = self.regions
        if not self.held:
            self.anew(self.before)
        self.held[0].write(box, box.of(image, Box.whole(regions.steps[0].size)))
        changed, drift = {0: box}, 0.0
        near: dict[Size, Box] = {}
        for place, sources in self.sources.items():
            size = regions.steps[place].size
            if size not in near:
                near[size] = self._near(box, size)
            part = near[size]
            if any(changed.get(source) != near.get(regions.steps[source].size) for source in sources):
                # until the edit has spread over all that is near: from there on, what is near is reached, too
                reached = regions.reached(place, changed, regions.seen)
                if reached is None:
                    continue
                part = reached.within(part)
            made = regions.compute(place, part, self.held, self.statistics, regions.seen)
            if place in self.watched:
                self.moved[place] = self.moved[place].replaced(self.held[place].read(part), made)
                drift = max(drift, self.statistics[place].apart(self.moved[place]))
                if drift > DRIFT:
                    return None, drift
            self.held[place].write(part, made)
            changed[place] = part
        last = changed[regions.last]
        return (last, self.held[regions.last].read(last)), drift

    def _near(self, box: Box, size: Size) -> Box:
        """What is made anew at most in a value of that size."""
        if self.margin is None:
            return Box.whole(size)
        return _around(box, self.margin, self.regions.steps[0].size, size)


def _around(box: Box, margin: int, image: Size, size: Size) -> Box:
    """A box of the image and a margin around it, in the pixels of a value of another size."""
    spans = [
        (max(0, (low - margin) * own // of_image), min(own, -(-(high + margin) * own // of_image)))
        for (low, high), own, of_image in zip(box, size, image, strict=True)
    ]
    return Box(*spans)
