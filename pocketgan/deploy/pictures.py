"""The images that a model is given: read as it learnt to see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pocketgan.data.images import read_bytes
from pocketgan.data.raster import header_of, read_raster
from pocketgan.data.values import Range, Survey, Values
from pocketgan.errors import DataError
from pocketgan.models import Model


class Pictures:
    """Reads the images that a model takes, and counts what a user should know of."""

    def __init__(self, model: Model, files: list[Path], range_: Range | None) -> None:
        self.own = self.deep = Values() if model.card.get("labels") or model.spec.kind == "spade" else model.source
        self.found = self.shallow = self.beyond = 0
        if range_:
            self.own = self.deep = self._within(range_)
        elif not self.own.learnt_deep and not model.card.get("labels"):
            survey = Survey()
            for path in files:
                header = header_of(data := read_bytes(path), path)
                if header.deep:
                    survey.add(header, read_raster(data, path), path)
            self.found = survey.deep
            if survey.deep:
                values = survey.values(self.own.channels)
                self.deep = self._within((values.low, values.high))

    def _within(self, range_: Range) -> Values:
        return Values.model_validate({**self.own.model_dump(), "low": range_[0], "high": range_[1]})

    def __call__(self, path: Path) -> np.ndarray:
        header = header_of(data := read_bytes(path), path)
        values = self.deep if header.deep else self.own
        if not values.accepts(header):
            raise DataError(
                f"{path} has {header.channels} channels, and the model takes {values.channels}; give images of "
                "its kind"
            )
        raster = read_raster(data, path, values.channels)
        self.shallow += values.dtype != "uint8" and not header.deep
        self.beyond += values.beyond(raster)
        return values.pixels(raster)

    def notes(self) -> list[str]:
        told = []
        if self.found:
            told.append(
                f"{self.found} images of more than 8 bits were taken to go from {self.deep.low:g} to "
                f"{self.deep.high:g}, as their values need, for a model of 8 bits; --range LOW:HIGH says another"
            )
        if self.shallow:
            told.append(
                f"{self.shallow} images of 8 bits were taken to go from 0 to 255, where the model learnt from "
                f"values of {self.own.low:g} to {self.own.high:g}"
            )
        if self.beyond:
            told.append(
                f"{self.beyond} images hold values beyond {self.deep.low:g} to {self.deep.high:g}, which were "
                "clipped; --range LOW:HIGH says another range"
            )
        return told
