"""Images of other channels and other values than red, green and blue of 8 bits: read, kept, encoded, restored."""

import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pocketgan.data.batches import evaluation_batches, training_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.images import resize, seen, shown, to_tensor
from pocketgan.data.packed import Packed
from pocketgan.data.raster import header_of, read_raster, save_raster
from pocketgan.data.task import Task, open_task
from pocketgan.data.values import Survey, Values
from pocketgan.errors import DataError, SpecError
from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec

RNG = np.random.default_rng(0)


def numbers(dtype: str, channels: int, low: float, high: float, side: int = 16) -> np.ndarray:
    """Random values of a range, both ends among them: (side, side, channels)."""
    made = RNG.uniform(low, high, (side, side, channels))
    made.flat[0], made.flat[1] = low, high
    return (made if dtype.startswith("float") else made.round()).astype(dtype)


def write(path: Path, values: np.ndarray) -> Path:
    """As .npy, as TIFF with a page a channel, or as a gray PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".png":
        Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values).save(path)
    else:
        tifffile.imwrite(path, np.moveaxis(values, 2, 0), photometric="minisblack")
    return path


def folders(root: Path, a: dict, b: dict, count: int = 5) -> Path:
    """Pairs of images; `a` and `b`: suffix, and what `numbers` takes."""
    for index in range(count):
        for folder, form in (("A", dict(a)), ("B", dict(b))):
            suffix = form.pop("suffix")
            write(root / folder / f"p{index}{suffix}", numbers(**form))
    return root


def form(suffix: str = ".tif", dtype: str = "uint8", channels: int = 1, low: float = 0, high: float = 255) -> dict:
    return dict(suffix=suffix, dtype=dtype, channels=channels, low=low, high=high)


def raster(path: Path, channels: int | None = None) -> np.ndarray:
    return read_raster(path.read_bytes(), path, channels)


# -- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
@pytest.mark.parametrize(
    ("dtype", "channels", "low", "high"),
    [
        ("uint8", 5, 0, 255),
        ("uint8", 4, 0, 255),
        ("uint8", 2, 0, 255),
        ("uint16", 1, 0, 4095),
        ("uint16", 3, 0, 65535),
        ("uint16", 7, 100, 900),
        ("int16", 1, -1000, 3000),
        ("int16", 6, -5, 5),
        ("float32", 1, -0.5, 1),
        ("float32", 4, 0, 1e6),
        ("int32", 1, -70000, 70000),
    ],
)
def test_rasters_of_every_kind(tmp_path, suffix, dtype, channels, low, high):
    """A TIFF of several pages is all of its pages."""
    values = numbers(dtype, channels, low, high)
    path = write(tmp_path / f"a{suffix}", values)
    header = header_of(path.read_bytes(), path)
    assert (header.width, header.height, header.channels) == (16, 16, channels)
    assert header.deep == (dtype != "uint8")
    np.testing.assert_array_equal(raster(path), values)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (dict(photometric="rgb"), (12, 20, 3)),
        (dict(photometric="minisblack", planarconfig="separate"), (5, 12, 20)),
        (dict(photometric="minisblack", planarconfig="contig"), (12, 20, 5)),
        (dict(photometric="minisblack", planarconfig="contig", compression="zlib"), (12, 20, 4)),
    ],
)
def test_tiffs_as_they_are_laid_out(tmp_path, layout, shape):
    values = RNG.integers(0, 65536, shape).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, **layout)
    expected = values if shape[0] == 12 else np.moveaxis(values, 0, 2)
    np.testing.assert_array_equal(raster(tmp_path / "a.tif"), expected)


def test_pictures_and_their_transparency(tmp_path):
    """Laid on white, but where there are to be four channels."""
    values = RNG.integers(0, 256, (8, 8, 4)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    header = header_of((tmp_path / "a.png").read_bytes(), tmp_path / "a.png")
    assert (header.channels, header.alpha) == (4, True)
    np.testing.assert_array_equal(raster(tmp_path / "a.png", 4), values)
    cover = values[..., 3:] / 255
    np.testing.assert_allclose(raster(tmp_path / "a.png", 3), values[..., :3] * cover + 255 * (1 - cover), atol=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((3, 4, 5, 6), np.uint8), "has the shape 3x4x5x6, and an image is height x width, or"),
        (np.zeros(7, np.uint8), "has the shape 7, and an image is height x width, or"),
        (
            np.zeros((4, 90, 100), np.uint8),
            "has the shape 4x90x100: 100 channels, and at most 64 can be used; ",
        ),
        (np.zeros((4, 4), complex), "holds numbers of the type complex128; save it with integers or floats"),
        (np.array([[1, np.nan]]), "holds NaN or infinity; replace these values"),
        (np.array([[None, {}]], object), "is corrupt, truncated or no image; replace or remove it"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, content, message):
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(DataError) as caught:
        raster(tmp_path / "a.npy")
    assert str(caught.value).startswith(f"{tmp_path / 'a.npy'} {message}")
    assert "\n" not in str(caught.value)


def test_tiffs_that_are_no_images(tmp_path):
    stack = tmp_path / "stack.tif"
    tifffile.imwrite(stack, np.zeros((4, 2, 8, 8), np.uint8), metadata={"axes": "ZCYX"}, photometric="minisblack")
    with pytest.raises(DataError, match=r"stack.tif has the shape 4x2x8x8 \(ZCYX\), and only one axis beside"):
        raster(stack)
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as file:
        file.write(np.zeros((8, 8), np.uint8))
        file.write(np.zeros((9, 9), np.uint8))
    with pytest.raises(DataError, match=r"sizes.tif holds pages of different sizes or kinds"):
        raster(tmp_path / "sizes.tif")
    tifffile.imwrite(tmp_path / "whole.tif", np.zeros((5, 64, 64), np.uint16), photometric="minisblack")
    content = (tmp_path / "whole.tif").read_bytes()
    for cut in (20, 400, len(content) // 2):
        (tmp_path / "cut.tif").write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"cut.tif (is corrupt|holds)"):
            raster(tmp_path / "cut.tif")


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="the package is there")
@pytest.mark.parametrize(("dtype", "way"), [("uint8", "tiff_lzw"), ("uint16", "tiff_lzw"), ("uint8", "jpeg")])
def test_a_package_that_is_needed_is_named(cli, tmp_path, dtype, way):
    """Several pages that are compressed; one page is read without it."""
    path = tmp_path / "a.tif"
    pages = [Image.fromarray(plane) for plane in numbers(dtype, 3, 0, 255).transpose(2, 0, 1)]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression=way)
    spec = ResnetSpec.uniform(2, blocks=1, in_channels=3)
    save_model(tmp_path / "model", spec.build(), {})
    ended = cli("translate", tmp_path / "model", path, "-o", tmp_path / "made")
    assert (ended.code, ended.err) == (
        2,
        f"pocketgan: {path} is compressed in a way that is read with the package imagecodecs alone; install that "
        "(pip install imagecodecs), or save the image uncompressed\n",
    )
    pages[0].save(path, compression=way)
    assert raster(path).shape == (16, 16, 1)


@pytest.mark.parametrize(
    ("dtype", "channels", "low", "high", "suffix"),
    [
        ("uint8", 1, 0, 255, ".png"),
        ("uint8", 3, 0, 255, ".png"),
        ("uint16", 1, 0, 4095, ".png"),
        ("uint8", 2, 0, 255, ".tif"),
        ("uint8", 4, 0, 255, ".tif"),
        ("uint16", 3, 0, 65535, ".tif"),
        ("int16", 1, -1000, 3000, ".tif"),
        ("float32", 6, -1, 1, ".tif"),
    ],
)
def test_rasters_are_written_as_they_are(tmp_path, dtype, channels, low, high, suffix):
    values = numbers(dtype, channels, low, high)
    kind = Values(channels=channels, low=low, high=high, dtype=dtype)
    assert kind.suffix == suffix
    save_raster(values, tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(raster(tmp_path / f"a{suffix}"), values)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


# -- what a set holds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "channels", "low", "high", "dtype", "words"),
    [
        (form(".png", "uint16", high=3900), 1, 0, 4095, "uint16", "gray, values 0 to 4,095"),
        (form(".tif", "uint16", high=900), 1, 0, 1023, "uint16", "gray, values 0 to 1,023"),
        (form(".npy", "uint16", 2, high=65000), 2, 0, 65535, "uint16", "2 channels, values 0 to 65,535"),
        (form(".tif", "int16", low=-1000, high=3000), 1, -1000, 3000, "int16", "gray, values -1,000 to 3,000"),
        (form(".tif", "int16", high=4000), 1, 0, 4095, "uint16", "gray, values 0 to 4,095"),
        (form(".tif", "float32", high=0.9), 1, 0, 1, "float32", "gray, values 0 to 1"),
        (
            form(".npy", "float64", 3, low=-0.5, high=0.5),
            3,
            -1,
            1,
            "float32",
            "3 channels (as colours), values -1 to 1",
        ),
        (form(".npy", "float32", 4, low=2, high=50), 4, 2, 50, "float32", "4 channels, values 2 to 50"),
        (form(".tif", "uint8", 5), 5, 0, 255, "uint8", "5 channels, values 0 to 255"),
        (form(".tif", "uint16", 3, high=4000), 3, 0, 4095, "uint16", "3 channels (as colours), values 0 to 4,095"),
        (form(".png", "uint8", 1), 1, 0, 255, "uint8", "gray, values 0 to 255"),
        (form(".npy", "bool", high=1), 1, 0, 1, "uint16", "gray, values 0 to 1"),
        (
            form(".tif", "int32", low=-70000, high=70000),
            1,
            -70000,
            70000,
            "float32",
            "gray, values -70,000 to 70,000",
        ),
    ],
)
def test_the_values_of_a_set_are_found(tmp_path, of, channels, low, high, dtype, words):
    task = open_task(folders(tmp_path, of, form(".png", channels=3)), size=8)
    assert task.a == Values(channels=channels, low=low, high=high, dtype=dtype)
    assert task.b == Values()
    assert (task.in_channels, task.out_channels) == (channels, 3)
    assert str(task.a) == words
    assert task.values_note == f"A: {words}; B: 3 channels (as colours), values 0 to 255"
    back = open_task(tmp_path, size=8, direction="BtoA")
    assert (back.in_channels, back.out_channels) == (3, channels)
    assert Task.model_validate({**task.model_dump(mode="json"), "root": tmp_path}) == task


def test_usual_images_leave_no_trace(tmp_path):
    task = open_task(folders(tmp_path, form(".png", channels=3), form(".png", channels=3)), size=8)
    assert not {"a", "b"} & task.model_dump().keys()
    assert task.values_note == ""


@pytest.mark.parametrize(
    ("options", "a", "b"),
    [
        (dict(ranges={"": (0, 65535)}), (0, 65535), (0, 255)),
        (dict(ranges={"A": (100, 5000)}), (100, 5000), (0, 255)),
        (dict(ranges={"B": (0, 1)}), (0, 4095), (0, 1)),
        (dict(channels=(3, 1)), (0, 4095), (0, 255)),
    ],
)
def test_what_the_user_says_counts(tmp_path, options, a, b):
    """A range for both is for those of more than 8 bits, where there are such."""
    task = open_task(folders(tmp_path, form(".png", "uint16", high=4000), form(".png")), size=8, **options)
    assert ((task.a.low, task.a.high), (task.b.low, task.b.high)) == (a, b)
    assert (task.a.channels, task.b.channels) == options.get("channels", (1, 1))
    assert (task.a.dtype, task.b.dtype) == ("uint16", "uint8")


def test_what_cannot_be(tmp_path):
    folders(tmp_path / "plain", form(".png"), form(".png"))
    with pytest.raises(SpecError, match=r"--range 0:4095 is beyond the 0 to 255 of images of 8 bits, as .* is;"):
        open_task(tmp_path / "plain", size=8, ranges={"": (0, 4095)})
    assert open_task(tmp_path / "plain", size=8, ranges={"": (0, 1)}).a == Values(channels=1, high=1)
    with pytest.raises(DataError, match=r"p0.png has 1 channels, and 4 are needed; mend or remove it"):
        open_task(tmp_path / "plain", size=8, channels=(4, 3))
    write(tmp_path / "plain" / "A" / "p5.npy", numbers("uint8", 5, 0, 255))
    write(tmp_path / "plain" / "B" / "p5.npy", numbers("uint8", 1, 0, 255))
    with pytest.raises(DataError, match=r"p5.npy has 5 channels and .* has 1; all images of a set need as many"):
        open_task(tmp_path / "plain", size=8)
    with pytest.raises(SpecError, match=r"a range goes from its lower to its higher value; 5 to 5 does not"):
        Values(low=5, high=5)


def png_of_16_bits(path: Path, values: np.ndarray, clear: tuple[int, ...] = ()) -> Path:
    """A PNG that Pillow cannot write: 2 channels are gray and its transparency; `clear`: the transparent colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    height, width, channels = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"tRNS", struct.pack(">3H", *clear) if clear else b"")]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    written = (
        struct.pack(">I", len(own)) + kind + own + struct.pack(">I", zlib.crc32(kind + own))
        for kind, own in chunks
        if own or kind == b"IEND"
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
    return path


@pytest.mark.parametrize(("channels", "most"), [(2, 65535), (3, 4095), (3, 65535), (4, 1023), (4, 65535)])
def test_all_16_bits_of_a_png(tmp_path, channels, most):
    """Of which Pillow gives the upper 8: colours, with transparency or without, and gray with it."""
    values = numbers("uint16", channels, 0, most)
    path = png_of_16_bits(tmp_path / "a.png", values)
    header = header_of(path.read_bytes(), path)
    assert (header.channels, header.alpha, header.dtype) == (channels, channels != 3, np.uint16)
    np.testing.assert_array_equal(raster(path, channels), values)
    if channels != 3:
        cover = values[..., -1:] / 65535
        white = values[..., :-1] * cover + 65535 * (1 - cover)
        np.testing.assert_allclose(raster(path, channels - 1), white, atol=0.5001)


def test_a_transparent_colour_of_16_bits(tmp_path):
    values = numbers("uint16", 3, 0, 4095)
    path = png_of_16_bits(tmp_path / "a.png", values, clear=tuple(values[2, 3].tolist()))
    assert header_of(path.read_bytes(), path)[2:5] == (4, np.uint16, True)
    expected = values.copy()
    expected[2, 3] = 65535
    np.testing.assert_array_equal(raster(path, 3), expected)


@pytest.mark.parametrize(("most", "high"), [(900, 1023), (4095, 4095), (65535, 65535)])
def test_colours_of_16_bits_are_not_dark(tmp_path, most, high):
    for index in range(5):
        for folder in "AB":
            png_of_16_bits(tmp_path / folder / f"p{index}.png", numbers("uint16", 3, 0, most))
    assert open_task(tmp_path, size=8).a == Values(high=high, dtype="uint16")


# -- pixels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "of",
    [
        form(".png", "uint16", high=4095),
        form(".tif", "int16", 2, low=-1000, high=3000),
        form(".npy", "float32", 4, low=-2, high=7),
        form(".tif", "uint8", 6),
        form(".png", "uint8", 1),
    ],
)
def test_from_the_file_to_the_network_and_back(tmp_path, of):
    """Low is -1, high is 1, in steps of at most 1/32767 of more than 8 bits; and what is restored is the file."""
    task = open_task(folders(tmp_path / "data", of, of), size=16)
    examples = load_examples(task, "test", tmp_path / "cache", training=False)
    (batch,) = evaluation_batches(examples, 4)
    ends = task.a.high - task.a.low
    for name, x in zip(batch.names, batch.x, strict=True):
        values = raster(tmp_path / "data" / "A" / f"{name}{of['suffix']}").astype(float)
        expected = (values - task.a.low) / ends * 2 - 1
        step = 1 / 255 if of["dtype"] == "uint8" else 1 / 65535
        np.testing.assert_allclose(x.permute(1, 2, 0), expected, atol=step + 1e-6)
        back = task.a.restored(x.permute(1, 2, 0).numpy())
        assert back.dtype == task.a.dtype
        np.testing.assert_allclose(back, values, atol=ends * step if of["dtype"] == "float32" else 0)


def test_both_kinds_in_one_folder(tmp_path):
    """8 bits go by 0 to 255, the others by the range of the set; all are kept in 8."""
    for index in range(6):
        deep = numbers("uint16", 1, 0, 4095)
        write(tmp_path / "data" / "A" / f"p{index}.png", deep if index % 2 else (deep // 16).astype(np.uint8))
        write(tmp_path / "data" / "B" / f"p{index}.png", deep)
    task = open_task(tmp_path / "data", size=16)
    assert task.a == Values(channels=1, high=4095, dtype="uint8")
    assert task.b == Values(channels=1, high=4095, dtype="uint16")
    examples = load_examples(task, ("train", "select", "test"), tmp_path / "cache", training=False)
    assert (examples.sources.pixels.dtype, examples.targets.pixels.dtype) == (np.uint8, np.uint16)
    x = to_tensor(examples.sources.pixels)
    y = to_tensor(examples.targets.pixels)
    assert float((x - y).abs().max()) < 0.01


def test_gray_and_colours_for_each_other(tmp_path):
    """As in the definition of luminance; a set of both is one of colours."""
    colours = numbers("uint8", 3, 0, 255)
    gray = Values(channels=1).pixels(colours)
    np.testing.assert_array_equal(gray[:, :, 0], (colours @ [0.299, 0.587, 0.114]).round())
    np.testing.assert_array_equal(Values().pixels(gray), np.repeat(gray, 3, axis=2))
    for index in range(5):
        write(tmp_path / "A" / f"p{index}.png", numbers("uint8", 1 if index else 3, 0, 255))
        write(tmp_path / "B" / f"p{index}.png", numbers("uint8", 1, 0, 255))
    task = open_task(tmp_path, size=8)
    assert (task.a.channels, task.b.channels) == (3, 1)


def test_values_beyond_the_range_are_clipped():
    kind = Values(channels=1, low=-100, high=300, dtype="int16")
    values = np.array([[[-500], [-100], [100], [300], [9000]]], np.int16)
    np.testing.assert_array_equal(kind.pixels(values)[0, :, 0], [0, 0, 32768, 65535, 65535])
    assert [kind.beyond(values[:, at : at + 1]) for at in range(5)] == [True, False, False, False, True]
    np.testing.assert_array_equal(kind.restored(np.array([[[-3.0], [0], [3]]]))[0, :, 0], [-100, 100, 300])


@pytest.mark.parametrize(("dtype", "channels"), [("uint16", 3), ("uint16", 1), ("uint8", 5), ("uint8", 1)])
def test_resizing_is_pillow_s_channel_by_channel(dtype, channels):
    values = numbers(dtype, channels, 0, np.iinfo(dtype).max)
    made = resize(values, 7, 11)
    assert (made.shape, made.dtype) == ((7, 11, channels), dtype)
    for channel in range(channels):
        plane = Image.fromarray(values[:, :, channel].astype(np.float32 if dtype == "uint16" else dtype))
        expected = np.asarray(plane.resize((11, 7), Image.Resampling.BICUBIC)).clip(0, np.iinfo(dtype).max)
        np.testing.assert_allclose(made[:, :, channel], expected, atol=0.5 if dtype == "uint16" else 0)


def test_crops_in_16_bits_of_images_of_different_sizes(tmp_path):
    for index, side in enumerate((16, 20, 33, 18, 16)):
        for folder in "AB":
            write(tmp_path / "data" / folder / f"p{index}.npy", numbers("uint16", 2, 0, 60000, side))
    task = open_task(tmp_path / "data", size=16, crop=True)
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    for name, pixels in zip(examples.sources.names, examples.sources.pixels, strict=True):
        np.testing.assert_array_equal(pixels, raster(tmp_path / "data" / "A" / f"{name}.npy"))
    batches = training_batches(examples, batch_size=1, size=(16, 16), flip=True, rotate=True, seed=0, epoch=0)
    assert {tuple(batch.on(torch.device("cpu")).x.shape) for batch in batches} == {(1, 2, 16, 16)}


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_same_numbers_on_a_device(accelerator, dtype):
    pixels = numbers(dtype, 5, 0, np.iinfo(dtype).max)[None]
    there = Packed(pixels).on(accelerator)
    assert torch.equal(there.cpu(), to_tensor(pixels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_for_the_eye(channels):
    """Gray as it is, else the first three channels; tensors alike."""
    pixels = numbers("uint8", channels, 0, 255)
    picture = shown(pixels)
    padded = np.concatenate([pixels, np.zeros_like(pixels), np.zeros_like(pixels)], axis=2)
    np.testing.assert_array_equal(picture, pixels.repeat(3, axis=2) if channels == 1 else padded[..., :3])
    if channels != 2:
        assert torch.equal(seen(to_tensor(pixels[None])), to_tensor(picture[None].copy()))
    np.testing.assert_array_equal(shown(pixels.astype(np.uint16) * 257), picture)


def test_eight_bits_beside_another_scale_are_not_clipped_in_silence(tmp_path):
    eight, floats = tmp_path / "a.png", tmp_path / "b.npy"
    save_raster(np.full((4, 4, 1), 200, np.uint8), eight)
    for top, fits in ((1.0, False), (300.0, True)):
        np.save(floats, np.linspace(0, top, 16, dtype=np.float32).reshape(4, 4))
        survey = Survey()
        for path in (eight, floats):
            data = path.read_bytes()
            header = header_of(data, path)
            survey.add(header, read_raster(data, path) if header.deep else None, path)
        if fits:
            assert survey.values().high == top
        else:
            with pytest.raises(DataError, match=r"has 8 bits, and .*b.npy and its like hold 0 to 1: .* give all"):
                survey.values()
