import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pocketgan.data.images import (
    image_size,
    list_images,
    read_rgb,
    resize,
    save_image,
    to_tensor,
    to_uint8,
)
from pocketgan.errors import DataError, OutputError
from tests.data.pictures import picture, write_picture

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "metrics" / "tensor_to_uint8.json"


def message(call) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


# Reading


def test_rgb_comes_back_as_it_is(tmp_path):
    np.testing.assert_array_equal(read_rgb(write_picture(tmp_path / "a.png", 1, 5, 7)), picture(1, 5, 7))


def test_gray_is_repeated(tmp_path):
    gray = picture(2)[:, :, 0]
    Image.fromarray(gray).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), np.stack([gray] * 3, axis=2))


def test_bilevel_is_black_and_white(tmp_path):
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1").save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png")[:, :, 1].tolist() == [[0, 255], [255, 0]]


def test_palette_gives_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png").tolist() == [
        [[10, 20, 30], [40, 50, 60]],
        [[70, 80, 90], [40, 50, 60]],
    ]


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=1)
    assert read_rgb(tmp_path / "a.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_alpha_is_laid_on_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [100, 0, 200, 51]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    share = rgba[:, :, 3:].astype(float) / 255
    expected = rgba[:, :, :3] * share + 255 * (1 - share)
    np.testing.assert_allclose(read_rgb(tmp_path / "a.png"), expected, atol=1)
    gray = np.array([[[0, 0], [0, 255]]], np.uint8)
    Image.fromarray(gray, "LA").save(tmp_path / "b.png")
    assert read_rgb(tmp_path / "b.png")[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled(tmp_path, suffix):
    values = np.array([[0, 256, 257], [32768, 65000, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    expected = np.round(values / 257)
    for channel in range(3):
        np.testing.assert_array_equal(read_rgb(tmp_path / f"a{suffix}")[:, :, channel], expected)


def test_integers_of_16_bits_in_32_are_scaled(tmp_path):
    values = np.array([[0, 25700, 65535]], np.int32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert read_rgb(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(
    ("values", "what"),
    [(np.array([[70000]], np.int32), "32-bit integers"), (np.array([[0.5]], np.float32), "floats")],
)
def test_unknown_range_is_refused(tmp_path, values, what):
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    expected = f"{path} holds {what}; save it as RGB or gray with 8 or 16 bits"
    assert message(lambda: read_rgb(path)) == expected


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_honoured(tmp_path, suffix, orientation):
    path = tmp_path / f"a{suffix}"
    pixels = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, 16, 0), 16, 1)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"exif": exif} | ({"lossless": True} if suffix == ".webp" else {})
    Image.fromarray(np.stack([pixels] * 3, 2)).save(path, **options)
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]  # quarter turns to the left that bring the top up
    expected = np.rot90(pixels, turns)
    assert image_size(path.read_bytes(), path) == (expected.shape[1], expected.shape[0])
    np.testing.assert_allclose(read_rgb(path)[:, :, 0], expected, atol=8)


def test_size_is_read_from_the_header_alone(tmp_path):
    path = write_picture(tmp_path / "a.png", 3, 40, 60)
    assert image_size(path.read_bytes()[:200], path) == (60, 40)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".tif"])
def test_truncated_image_is_named(tmp_path, suffix):
    path = write_picture(tmp_path / f"a{suffix}", 4, 64, 64)
    path.write_bytes(path.read_bytes()[:-300])
    assert message(lambda: read_rgb(path)) == f"{path} is corrupt, truncated or no image; replace or remove it"


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_corrupt_image_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    expected = f"{path} is corrupt, truncated or no image; replace or remove it"
    assert message(lambda: read_rgb(path)) == expected
    assert message(lambda: image_size(content, path)) == expected


def test_absurdly_large_image_is_named(tmp_path):
    path = tmp_path / "a.bmp"
    encoded = io.BytesIO()
    Image.new("RGB", (1, 1)).save(encoded, "BMP")
    data = bytearray(encoded.getvalue())
    data[18:26] = struct.pack("<ii", 60000, 60000)
    path.write_bytes(data)
    expected = (
        f"{path} has 3,600,000,000 pixels, and images of more than 178,956,970 are not opened unasked; make it "
        "smaller, remove it, or say pocketgan --max-pixels 3600000000 before the verb"
    )
    assert message(lambda: read_rgb(path)) == expected


def test_missing_image_is_named(tmp_path):
    path = tmp_path / "a.png"
    expected = f"cannot read {path}: No such file or directory; check its name and permissions"
    assert message(lambda: read_rgb(path)) == expected


def test_list_leaves_out_all_but_images(tmp_path):
    for name in ("b.png", "a.JPG", ".hidden.png", "._a.jpg", "notes.txt", "split.csv", "Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png"]


# Sizes and tensors


def test_resize_is_pillows_bicubic_with_antialiasing():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255
    small = resize(stripes, 8, 16)
    assert small.shape == (8, 16, 3)
    assert abs(int(small[4, 8, 0]) - 128) <= 2  # without antialiasing it would be black or white
    image = picture(5, 20, 30)
    expected = np.asarray(Image.fromarray(image).resize((16, 8), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resize(image, 8, 16), expected)


def test_to_tensor_maps_0_255_to_minus_one_one():
    images = np.stack([picture(6, 4, 5), picture(7, 4, 5)])
    tensor = to_tensor(images)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    expected = images.astype(np.float64).transpose(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)
    assert to_tensor(np.array([0, 255, 0], np.uint8).reshape(1, 1, 1, 3)).flatten().tolist() == [-1, 1, -1]


def test_every_level_survives_the_round_trip():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(to_uint8(to_tensor(levels)), levels)


def test_to_uint8_clips_rounds_and_truncates():
    values = torch.tensor([-3.0, 3.0, 10.6 / 127.5 - 1]).reshape(1, 3, 1, 1)
    assert to_uint8(values).flatten().tolist() == [0, 255, 11]
    assert to_uint8(values, "truncate").flatten().tolist() == [0, 255, 10]
    assert to_uint8(values.bfloat16()).shape == (1, 1, 1, 3)


@pytest.mark.skipif(not GOLDEN.exists(), reason="the golden data of the official systems are not here")
def test_truncation_equals_the_official_code():
    assert json.loads(GOLDEN.read_text())["class_name"] == "utils.util.tensor2im"
    golden = load_file(GOLDEN.with_suffix(".safetensors"))
    np.testing.assert_array_equal(to_uint8(golden["input.x"], "truncate"), golden["output.u8"].numpy())


# Writing


def test_save_writes_the_picture_and_nothing_else(tmp_path):
    save_image(picture(8), tmp_path / "a.png")
    save_image(picture(9), tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture(9))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_interrupted_save_keeps_the_old_picture(tmp_path, monkeypatch):
    save_image(picture(8), tmp_path / "a.png")

    def fail(self, path, format):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OutputError) as caught:
        save_image(picture(9), tmp_path / "a.png")
    expected = f"cannot write {tmp_path / 'a.png'}: No space left on device; choose another place"
    assert str(caught.value) == expected
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture(8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "\u00e9" * 123 + ".jpg", "y" * 250 + ".webp"])
def test_names_of_the_greatest_length(tmp_path, name):
    save_image(picture(8), tmp_path / name)
    assert read_rgb(tmp_path / name).shape == picture(8).shape


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(OutputError) as caught:
        save_image(picture(8), tmp_path / "a.xyz")
    expected = f"cannot write {tmp_path / 'a.xyz'}: '.xyz' is no image suffix; use .png or .jpg"
    assert str(caught.value) == expected
