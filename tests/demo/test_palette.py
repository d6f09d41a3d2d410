"""Palettes: drawn inputs have one, photos have none."""

import numpy as np
import pytest
from PIL import Image

from pocketgan.data.labels import LabelMaps, coloured
from pocketgan.demo.palette import paints_of, paints_of_labels


def drawn(colours: list[tuple[int, int, int]], side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = np.full((side, side, 3), colours[0], np.uint8)
    for colour in colours[1:]:
        top, left = rng.integers(0, side * 2 // 3, 2)
        pixels[top : top + side // 3, left : left + side // 3] = colour
    return pixels


@pytest.mark.parametrize("kind", ["exact", "jpeg", "resized"])
def test_the_colours_of_drawings(kind: str, tmp_path):
    colours = [(0, 0, 0), (255, 255, 255), (250, 20, 20)]
    image = Image.fromarray(drawn(colours))
    if kind == "jpeg":
        image.save(tmp_path / "x.jpg", quality=90, subsampling=0)
        image = Image.open(tmp_path / "x.jpg").convert("RGB")
    elif kind == "resized":
        image = image.resize((50, 50), Image.Resampling.BICUBIC)
    paints = paints_of(np.asarray(image)[None])
    assert {paint.name for paint in paints} == {"black", "white", "red"}
    assert paints[0].name == "black"
    for paint in paints:
        nearest = min(np.abs(np.array(paint.colour) - colour).max() for colour in colours)
        assert nearest <= 3


def test_thin_lines_have_their_colour():
    pixels = np.full((1, 64, 64, 3), 255, np.uint8)
    pixels[0, ::8] = 0
    assert [paint.name for paint in paints_of(pixels)] == ["white", "black"]


def test_photos_have_none():
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
    )
    assert paints_of(smooth[None]) == []
    assert paints_of(np.zeros((0, 8, 8, 3), np.uint8)) == []


def test_equal_names_are_numbered():
    paints = paints_of(drawn([(0, 0, 0), (230, 20, 20), (200, 60, 60)])[None])
    assert sorted(paint.name for paint in paints) == ["black", "red", "red (2)"]


def test_label_maps():
    maps = LabelMaps(classes=4, dont_care=True)
    paints = paints_of_labels(maps)
    assert [(paint.name, paint.label) for paint in paints][-2:] == [("class 3", 3), ("nothing", 255)]
    labels = np.array([[[paint.label] for paint in paints]], np.uint8)[None]
    assert np.array_equal(coloured(labels, maps)[0, 0], [paint.colour for paint in paints])
