import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pocketgan.data.cache import load_examples
from pocketgan.data.images import resize_map
from pocketgan.data.labels import (
    LabelMaps,
    check_labels,
    coloured,
    decode_map,
    encode,
    label_maps,
    pack,
    read_palette,
)
from pocketgan.data.task import open_task
from pocketgan.errors import DataError, SpecError
from tests.data.pictures import numbers, write_labels, write_map, write_picture

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PATH = Path("map.png")


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def said(kind, call) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Reading


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "I", "1"])
def test_numbers_of_every_mode(mode):
    wanted = numbers(3, 1 if mode == "1" else 200)
    if mode == "P":
        image = Image.fromarray(wanted, "P")
        image.putpalette(list(np.random.default_rng(0).integers(0, 256, 768)))
    elif mode == "1":
        image = Image.fromarray(wanted * 255).convert("1")
    else:
        image = Image.fromarray(wanted.astype({"L": np.uint8, "I;16": np.uint16, "I": np.int32}[mode]))
    data = encoded(image, "TIFF" if mode == "I" else "PNG")
    assert Image.open(io.BytesIO(data)).mode == mode
    np.testing.assert_array_equal(decode_map(data, PATH), wanted)


def test_sixteen_bits_are_not_cut():
    wanted = np.array([[0, 24_001], [33_018, 65_535]], np.uint16)
    np.testing.assert_array_equal(decode_map(encoded(Image.fromarray(wanted)), PATH), wanted)


def test_colours_are_read_through_a_palette(tmp_path):
    (tmp_path / "palette.txt").write_text("0 0 0\n\n250 10 20\n1 2 3\n")
    (tmp_path / "palette.csv").write_text("label,name,r,g,b\n7,car,250,10,20\n0,sky,0,0,0\n255,none,1,2,3\n")
    image = np.array([[[250, 10, 20], [0, 0, 0]], [[1, 2, 3], [250, 10, 20]]], np.uint8)
    for name, wanted in (("palette.txt", [[1, 0], [2, 1]]), ("palette.csv", [[7, 0], [255, 7]])):
        palette = read_palette(tmp_path / name)
        for mode in ("RGB", "RGBA"):
            data = encoded(Image.fromarray(image).convert(mode))
            assert decode_map(data, PATH, palette).tolist() == wanted
    image[0, 0] = (9, 8, 7)
    assert said(DataError, lambda: decode_map(encoded(Image.fromarray(image)), PATH, palette)) == (
        "map.png holds the colour (9, 8, 7), which is not in the palette; add it or mend the map"
    )


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("palette.txt", "0 0\n", "a line R G B for each class"),
        ("palette.txt", "", "a line R G B for each class"),
        ("palette.txt", "0 0 256\n", "a line R G B for each class"),
        ("palette.txt", "red green blue\n", "a line R G B for each class"),
        ("palette.csv", "id,r,g,b\n0,0,0,0\n", "the columns label,r,g,b"),
        ("palette.csv", "label,r,g,b\n0,0,0\n", "the columns label,r,g,b"),
    ],
)
def test_palettes_that_are_none(tmp_path, name, text, form):
    (tmp_path / name).write_text(text)
    assert said(DataError, lambda: read_palette(tmp_path / name)) == (
        f"{tmp_path / name} is no palette: it needs {form}, with numbers from 0 to 255; mend it"
    )


def test_files_that_are_no_label_maps():
    gray, rgb = Image.new("L", (8, 8)), Image.new("RGB", (8, 8))
    way_out = "write the classes as numbers, or put palette.txt (a line R G B for each class) into the data folder"
    assert said(DataError, lambda: decode_map(encoded(rgb), PATH)) == (
        f"map.png holds colours, and labels are numbers; {way_out}"
    )
    assert said(DataError, lambda: decode_map(encoded(gray, "JPEG"), PATH)) == (
        "map.png is a JPEG, which blurs labels into each other; save label maps as PNG"
    )
    assert said(DataError, lambda: decode_map(encoded(Image.new("F", (8, 8)), "TIFF"), PATH)) == (
        f"map.png holds pixels of mode F, no labels; {way_out}"
    )
    assert said(DataError, lambda: decode_map(encoded(Image.fromarray(numbers(0, 99)))[:-30], PATH)) == (
        "map.png is corrupt, truncated or no image; replace or remove it"
    )


@pytest.mark.parametrize("size", [(16, 16), (8, 8), (18, 17), (5, 40)])
def test_resizing_takes_the_nearest_pixel(size):
    """As Pillow's own for 8 bits, which takes the pixel under the centre."""
    array = np.random.default_rng(0).integers(0, 256, (16, 16))
    height, width = size
    wanted = Image.fromarray(array.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(resize_map(array.astype(np.int32), height, width), np.asarray(wanted))
    large = resize_map((array * 200).astype(np.int32), height, width)
    np.testing.assert_array_equal(large, np.asarray(wanted).astype(int) * 200)


# What labels may be


def test_channels():
    assert LabelMaps(classes=35, instances=True).channels == 36
    assert LabelMaps(classes=182, dont_care=True, instances=True).channels == 184
    assert LabelMaps(classes=12).channels == 12


def test_labels_out_of_range():
    maps = LabelMaps(classes=5, dont_care=True)
    check_labels(np.array([[0, 4, 255]], np.int32), maps, PATH)
    assert said(DataError, lambda: check_labels(np.array([[0, 7, 6]], np.int32), maps, PATH)) == (
        "map.png holds the label 7; labels are 0 to 4 and 255 for pixels of no class here: "
        "pass --classes 8 or mend the map"
    )
    plain = LabelMaps(classes=5)
    assert said(DataError, lambda: check_labels(np.array([[255]], np.int32), plain, PATH)) == (
        "map.png holds the label 255; labels are 0 to 4 here: mend the map"
    )
    assert "the label -1;" in said(DataError, lambda: check_labels(np.array([[-1]], np.int32), plain, PATH))


def test_numbers_of_classes():
    assert label_maps(11, True, False, None) == LabelMaps(classes=12, dont_care=True)
    assert label_maps(11, False, True, 20) == LabelMaps(classes=20, instances=True)
    assert label_maps(254, False, False, None).classes == 255
    assert said(SpecError, lambda: label_maps(3, False, False, 256)) == (
        "--classes 256 is not possible; give 1 to 255"
    )
    assert said(DataError, lambda: label_maps(7000, False, False, None)) == (
        "the largest label is 7000, and at most 254 can be used; are these instance maps? number the classes from 0"
    )


# Encoding


@pytest.mark.parametrize("instances", [True, False])
@pytest.mark.parametrize("dont_care", [True, False])
def test_one_hot_and_edges(instances, dont_care):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 6, (3, 9, 12)).astype(np.int32)
    if dont_care:
        labels[rng.random(labels.shape) < 0.2] = 255
    ids = np.stack([numbers(seed, 200, 12, 12)[:9] for seed in range(3)]).astype(np.int32) * 300
    maps = LabelMaps(classes=6, dont_care=dont_care, instances=instances)
    packed = np.stack([pack(a, b if instances else None, PATH) for a, b in zip(labels, ids, strict=True)])
    assert packed.shape == (3, 9, 12, 3 if instances else 1) == (3, 9, 12, maps.bytes)
    made = encode(packed, maps)
    assert made.dtype == torch.float32
    index = torch.from_numpy(np.where(labels == 255, 6, labels)).long()
    wanted = [F.one_hot(index, 6 + dont_care).permute(0, 3, 1, 2).float()]
    if instances:
        # SPADE's own way: t[:, :, :, 1:] != t[:, :, :, :-1] marks both pixels; here pixel by pixel
        edge = torch.zeros(3, 1, 9, 12)
        for n, y, x in np.ndindex(3, 9, 12):
            near = [(y + dy, x + dx) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]
            inside = [ids[n, v, u] for v, u in near if 0 <= v < 9 and 0 <= u < 12]
            edge[n, 0, y, x] = any(other != ids[n, y, x] for other in inside)
        wanted.append(edge)
        assert 0 < edge.mean() < 1
    assert torch.equal(made, torch.cat(wanted, 1))


def test_more_instances_than_a_byte_counts():
    ids = np.arange(40_000, dtype=np.int32).reshape(200, 200)
    packed = pack(np.zeros_like(ids), ids * 7, PATH)
    np.testing.assert_array_equal(packed[..., 1] + 256 * packed[..., 2].astype(int), ids)
    with pytest.raises(DataError, match=r"map\.png holds 90000 instances, and at most 65536 can be told apart"):
        pack(np.zeros((300, 300), np.int32), np.arange(90_000, dtype=np.int32).reshape(300, 300), PATH)


def test_colours_for_the_eye():
    labels = np.array([[0, 1], [2, 255]], np.int32)
    shown = coloured(pack(labels, None, PATH)[None], LabelMaps(classes=3, dont_care=True))
    assert len({tuple(pixel) for pixel in shown.reshape(-1, 3)}) == 4
    assert shown[0, 1, 1].tolist() == [0, 0, 0]
    outlined = coloured(pack(labels, labels, PATH)[None], LabelMaps(classes=3, dont_care=True, instances=True))
    assert not outlined.any(), "every pixel is an edge"


# As a task


def test_a_task_of_label_maps(tmp_path):
    write_labels(tmp_path / "data", 10, classes=5, side=20)
    task = open_task(tmp_path / "data", size=16)
    assert (task.layout, task.paired, task.labels) == ("labels", True, LabelMaps(classes=5, instances=True))
    assert task.in_channels == 6
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    assert (examples.sources.pixels.shape, examples.targets.pixels.shape) == ((7, 18, 18, 3), (7, 18, 18, 3))
    for name, pixels in zip(examples.sources.names, examples.sources.pixels, strict=True):
        index = int(name[1:])
        labels, ids = numbers(index, 4, 20, 20), numbers(50 + index, 9, 20, 20)
        np.testing.assert_array_equal(pixels[..., 0], resize_map(labels.astype(np.int32), 18, 18))
        dense = np.unique(resize_map(ids.astype(np.int32), 18, 18), return_inverse=True)[1].reshape(18, 18)
        np.testing.assert_array_equal(pixels[..., 1], dense)
    assert examples.sources.packed(slice(2)).on(torch.device("cpu")).shape == (2, 6, 18, 18)
    assert examples.sources.pictures([1, 0]).shape == (2, 18, 18, 3)


def test_dont_care_and_given_classes(tmp_path):
    write_labels(tmp_path, 10, classes=5, instances=False)
    labels = numbers(3, 4)
    labels[2, 3] = 255
    write_map(tmp_path / "label" / "m03.png", labels)
    assert open_task(tmp_path, size=16).labels == LabelMaps(classes=5, dont_care=True)
    assert open_task(tmp_path, size=16, classes=9).labels == LabelMaps(classes=9, dont_care=True)
    few = open_task(tmp_path, size=16, classes=3)
    with pytest.raises(DataError, match="holds the label 4; labels are 0 to 2 and 255 for pixels of no class here"):
        load_examples(few, ("train", "select", "test"), tmp_path / "cache", training=False)
    assert not list((tmp_path / "cache").iterdir())


def test_published_sets_have_their_own_classes(tmp_path):
    names = ("label", "img", "inst")
    for prefix in ("train_", "val_"):
        write_labels(tmp_path, 9, prefix, folders=names)
    task = open_task(tmp_path, size=16)
    assert (task.labels, task.in_channels) == (LabelMaps(classes=182, dont_care=True, instances=True), 184)
    assert open_task(tmp_path, size=16, classes=5).in_channels == 7
    write_map(tmp_path / "train_label" / "m04.png", np.full((16, 16), 182, np.uint8))
    strange = open_task(tmp_path, size=16)  # a published set is not looked into before it is used
    with pytest.raises(DataError, match=r"m04\.png holds the label 182; labels are 0 to 181 and 255"):
        load_examples(strange, ("train", "select"), tmp_path / "cache", training=False)


def test_coloured_label_maps_need_a_palette(tmp_path):
    write_labels(tmp_path, 6, instances=False, classes=3)
    palette = np.array([[0, 0, 0], [200, 10, 10], [5, 5, 250]], np.uint8)
    for path in (tmp_path / "label").iterdir():
        write_map(path, palette[np.asarray(Image.open(path))])
    assert re.match(r".*m00\.png holds colours, and labels", said(DataError, lambda: open_task(tmp_path, size=16)))
    (tmp_path / "palette.txt").write_text("\n".join(" ".join(map(str, colour)) for colour in palette))
    task = open_task(tmp_path, size=16)
    assert task.labels == LabelMaps(classes=3)
    sources = load_examples(task, "train", tmp_path / "cache", training=False).sources
    np.testing.assert_array_equal(sources.pixels[0, :, :, 0], numbers(int(sources.names[0][1:]), 2))
    digest = task.data_digest
    (tmp_path / "palette.txt").write_text("0 0 0\n5 5 250\n200 10 10\n")
    assert open_task(tmp_path, size=16).data_digest != digest


def test_sizes_that_differ(tmp_path):
    write_labels(tmp_path, 4)
    label, inst, image = (tmp_path / folder / "m02.png" for folder in ("label", "inst", "image"))
    write_map(inst, numbers(0, 3, 16, 20))
    assert said(DataError, lambda: open_task(tmp_path, size=16)) == (
        f"{label} is 16x16 but {inst} is 20x16; make instances and labels equally large"
    )
    write_picture(image, 0, 20, 16)
    assert said(DataError, lambda: open_task(tmp_path, size=16)) == (
        f"{label} is 16x16 but {image} is 16x20; make both images of a pair equally large"
    )


def test_only_labels_become_images(tmp_path):
    write_labels(tmp_path, 4)
    assert said(SpecError, lambda: open_task(tmp_path, size=16, direction="BtoA")) == (
        "label maps become images, not images label maps; leave --direction BtoA out"
    )


def test_photos_may_be_smaller_than_the_size(tmp_path):
    """As in COCO, where some are."""
    write_labels(tmp_path, 4, side=12)
    assert open_task(tmp_path, size=(16, 20)).size == (16, 20)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data here")
def test_samples_of_coco_stuff(tmp_path):
    task = open_task(SHARED / "coco_stuff_sample")
    assert (task.in_channels, task.counts()) == (184, {"train": 11, "select": 2, "test": 8})
    examples = load_examples(task, "test", tmp_path, training=False)
    planes = examples.sources.packed(slice(None)).on(torch.device("cpu"))
    assert torch.equal(planes[:, :-1].sum(1), torch.ones(8, 256, 256))
    assert 0.01 < planes[:, -1].mean() < 0.3
    for image, name in zip(planes, examples.sources.names, strict=True):
        labels = np.asarray(Image.open(SHARED / "coco_stuff_sample" / "val_label" / f"{name}.png"))
        resized = Image.fromarray(labels).resize((256, 256), Image.Resampling.NEAREST)
        wanted = np.where(np.asarray(resized) == 255, 182, np.asarray(resized))
        np.testing.assert_array_equal(image[:-1].argmax(0), wanted)
