"""What a person paints with: the colours of drawn inputs, or the classes of label maps."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, UInt8

from pocketgan.data.labels import CITYSCAPES, DONT_CARE, LabelMaps, coloured

#: the most colours of a palette; inputs that need more are photos
MOST = 16
#: where inputs are drawn, at least this part of all pixels is of a colour of the palette, but for JPEG's noise ...
COVERED = 0.5
#: ... and this part of those that are near one: colours stand alone, where those of photos run into each other
ALONE = 0.75
#: colours that differ less in every channel are one: JPEG blurs them
NEAR = 28
_NOISE = 10
_RAREST = 0.002
#: the part of a colour's pixels that are like their neighbours, from which on it fills areas
_AREA = 0.4

_NAMES = {
    "black": (0, 0, 0),
    "dark gray": (64, 64, 64),
    "gray": (128, 128, 128),
    "light gray": (200, 200, 200),
    "white": (255, 255, 255),
    "red": (230, 20, 20),
    "dark red": (128, 0, 0),
    "orange": (255, 150, 0),
    "brown": (130, 80, 30),
    "yellow": (250, 240, 20),
    "green": (30, 180, 30),
    "dark green": (0, 90, 0),
    "light green": (140, 250, 130),
    "turquoise": (40, 240, 215),
    "cyan": (0, 210, 255),
    "light blue": (0, 130, 255),
    "blue": (0, 60, 250),
    "dark blue": (0, 0, 190),
    "violet": (130, 40, 200),
    "pink": (250, 120, 200),
}
#: of the label ids of Cityscapes, 0 to 34
_CITYSCAPES_NAMES = (
    *("unlabelled", "ego vehicle", "rectification border", "out of view", "static", "dynamic", "ground", "road"),
    *("sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole"),
    *("group of poles", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car"),
    *("truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle", "number plate"),
)


class Paint(NamedTuple):
    """One entry of a palette: its name, its colour on the screen, and its class where inputs are label maps."""

    name: str
    colour: tuple[int, int, int]
    label: int | None = None


def paints_of(pictures: UInt8[np.ndarray, "count height width 3"]) -> list[Paint]:
    """The colours that drawn inputs are made of, the most frequent first; empty where the inputs are photos.

    Colours that lie only on the edges between two others, as resizing leaves them, are none of them.

        paints_of(np.zeros((1, 8, 8, 3), np.uint8))   # one paint, black
    """
    pixels = pictures.reshape(-1, 3).astype(np.int32)
    values, counts = np.unique(pixels @ np.array([1 << 16, 1 << 8, 1], np.int32), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    colours = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1)[order]
    counts, left = counts[order], np.ones(len(values), bool)
    flat = _flat(pictures).reshape(-1)
    chosen: list[tuple[int, int, int]] = []
    covered = within = 0
    while left.any() and len(chosen) < MOST:
        first = colours[np.argmax(left)]
        near = left & (np.abs(colours - first).max(axis=1) < NEAR)
        part = int(counts[near].sum())
        if part < _RAREST * len(pixels):
            break
        left &= ~near
        there = np.abs(pixels - first).max(axis=1) < NEAR
        if flat[there].mean() > _AREA or not _blended(first, chosen):
            chosen.append((int(first[0]), int(first[1]), int(first[2])))
            within += part
            covered += int(counts[np.abs(colours - first).max(axis=1) <= _NOISE].sum())
    if covered < COVERED * len(pixels) or covered < ALONE * within:
        return []
    return _named(chosen)


def _flat(pictures: UInt8[np.ndarray, "count height width 3"]) -> Bool[np.ndarray, "count height width"]:
    """Which pixels are like those to the right and below."""
    signed = pictures.astype(np.int32)
    flat = np.ones(pictures.shape[:3], bool)
    flat[:, :, :-1] &= np.abs(np.diff(signed, axis=2)).max(axis=3) < NEAR
    flat[:, :-1] &= np.abs(np.diff(signed, axis=1)).max(axis=3) < NEAR
    return flat


def _blended(colour: Int32[np.ndarray, 3], others: list[tuple[int, int, int]]) -> bool:
    """Whether a colour lies between two others."""
    ends = np.array(others)
    for a, b in combinations(ends, 2):
        along = np.clip((colour - a) @ (b - a) / max(1, (b - a) @ (b - a)), 0, 1)
        if np.abs(a + along * (b - a) - colour).max() < NEAR:
            return True
    return False


def paints_of_labels(maps: LabelMaps) -> list[Paint]:
    """A paint for each class, by its name where it is known, and one for "do not care"."""
    labels = [*range(maps.classes), *([DONT_CARE] if maps.dont_care else [])]
    names = _CITYSCAPES_NAMES if maps == CITYSCAPES else tuple(f"class {label}" for label in range(maps.classes))
    flat = LabelMaps(classes=maps.classes, dont_care=maps.dont_care)
    shown = coloured(np.array(labels, np.uint8).reshape(1, 1, -1, 1), flat)[0, 0]
    return [
        Paint("nothing" if label == DONT_CARE else names[label], (int(red), int(green), int(blue)), label)
        for label, (red, green, blue) in zip(labels, shown, strict=True)
    ]


def _named(colours: list[tuple[int, int, int]]) -> list[Paint]:
    """Each colour with the nearest name, numbered where two share it."""
    paints: list[Paint] = []
    for colour in colours:
        name = min(_NAMES, key=lambda each: sum((a - b) ** 2 for a, b in zip(_NAMES[each], colour, strict=True)))
        taken = sum(paint.name.partition(" (")[0] == name for paint in paints)
        paints.append(Paint(f"{name} ({taken + 1})" if taken else name, colour))
    return paints
