import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pocketgan.data.raster import read_raster
from pocketgan.data.values import Values
from pocketgan.deploy.translate import translate_images
from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.models import Model, of_images
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec, UnetSpec

from ..data.pictures import numbers, write_map, write_picture


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    spec = ResnetSpec.uniform(2, blocks=1)
    return Model(spec.build().eval(), spec, {"size": 24})


def expected(model: Model, path: Path, side: int | None) -> np.ndarray:
    """The same in the plainest words: read, resize or mirror at the ends, scale, run, scale back, cut."""
    image = Image.open(path).convert("RGB")
    if side:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    array = np.array(image)
    rows, columns = (mirrored(length) for length in array.shape[:2])
    x = torch.from_numpy(array[rows][:, columns]).permute(2, 0, 1)[None] / 127.5 - 1
    y = model.network(x)[0].detach().permute(1, 2, 0).numpy()
    return np.round((y + 1) / 2 * 255).clip(0, 255)[: array.shape[0], : array.shape[1]]


def mirrored(length: int, stride: int = 4, smallest: int = 16) -> list[int]:
    """The places 0, 1, ..., length - 1, then back: length - 2, ..., until the network takes as many."""
    wanted = max(smallest, -(-length // stride) * stride)
    there_and_back = [*range(length), *range(length - 2, 0, -1)] if length > 1 else [0]
    return (there_and_back * wanted)[:wanted]


def pixels(path: Path) -> np.ndarray:
    image = Image.open(path)
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image).astype(float)


@pytest.mark.parametrize(
    ("size", "height", "width", "how"),
    [
        (32, 21, 30, "each resized to 32"),
        (None, 21, 30, "each at its own size, 1 padded by reflection to multiples of 4 and cut back"),
        (None, 24, 40, "each at its own size"),
        (None, 101, 77, "each at its own size, 1 padded by reflection to multiples of 4 and cut back"),
        (None, 5, 1, "each at its own size, 1 padded by reflection to multiples of 4 and cut back"),
        (None, 150, 200, "each at its own size, 1 padded by reflection to multiples of 4 and cut back"),
        (None, 90, 160, "each at its own size, 1 padded by reflection to multiples of 4 and cut back"),
    ],
)
def test_pictures_are_those_of_the_network(
    model: Model, tmp_path: Path, size: int | None, height: int, width: int, how: str
):
    """At their own size but where another is asked for."""
    path = write_picture(tmp_path / "wide.png", 1, height, width)
    result = translate_images(model, [path], tmp_path / "made", size)
    assert (result.pictures, result.how) == (1, how)
    np.testing.assert_allclose(pixels(tmp_path / "made" / "wide.png"), expected(model, path, size), atol=1)


def test_large_pictures_in_tiles_are_the_same(model: Model, tmp_path: Path):
    paths = [write_picture(tmp_path / f"{n}.png", n, 45, side) for n, side in enumerate((70, 70, 31))]
    whole = translate_images(model, paths, tmp_path / "whole", tile=0)
    tiled = translate_images(model, paths, tmp_path / "tiled", tile=50)
    assert whole.how == "each at its own size, 3 padded by reflection to multiples of 4 and cut back"
    assert tiled.how == f"{whole.how}, 2 in tiles of 50"
    for path in paths:
        np.testing.assert_allclose(
            pixels(tmp_path / "tiled" / path.name), pixels(tmp_path / "whole" / path.name), atol=1
        )


def test_memory_grows_with_the_picture_by_its_own_numbers_alone(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What NumPy holds at most from file to file, for each pixel more; test_tiles.py looks at PyTorch."""
    monkeypatch.setattr("pocketgan.data.values._TOGETHER", 1 << 10)
    deep = np.random.default_rng(0).integers(0, 65536, (320, 320, 3), dtype=np.uint16)
    peaks = []
    for side in (80, 80, 320):  # the first time more is imported
        tifffile.imwrite(tmp_path / f"{side}.tif", deep[:side, :side], photometric="rgb")
        tracemalloc.start()
        translate_images(model, [tmp_path / f"{side}.tif"], tmp_path / "made", tile=0, overwrite=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    grown = (peaks[2] - peaks[1]) / (320**2 - 80**2)
    assert 12 < grown < 36, "bytes: 12 of the image as floats, 6 each of file, raster and kept numbers"


def test_images_far_from_those_of_the_training_are_told(model: Model, tmp_path: Path):
    paths = [write_picture(tmp_path / f"{n}.png", n, side, side) for n, side in enumerate((12, 24, 48))]
    assert translate_images(model, paths, tmp_path / "made").notes == ()
    paths = [write_picture(tmp_path / f"{n}.png", n, 24, side) for n, side in ((3, 52), (4, 24), (5, 8))]
    assert translate_images(model, paths, tmp_path / "made").notes == (
        "2 of 3 images are far from the 24 pixels (height x width) that the model was trained on, as 3.png of "
        "24x52, and may come out worse; --size 24 gives pictures of that size",
    )
    assert translate_images(model, paths, tmp_path / "sized", 24).notes == ()
    assert translate_images(model._replace(card={}), paths, tmp_path / "unknown").notes == ()


def test_nothing_is_overwritten_unasked(model: Model, tmp_path: Path):
    paths = [write_picture(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    translate_images(model, paths[:2], tmp_path / "made")
    before = (tmp_path / "made" / "a.png").read_bytes()
    write_picture(tmp_path / "a.png", 9)
    with pytest.raises(
        OutputError, match=r"a\.png and 1 more would be overwritten; choose another --out, or say --over"
    ):
        translate_images(model, paths, tmp_path / "made")
    assert (tmp_path / "made" / "a.png").read_bytes() == before
    assert not (tmp_path / "made" / "c.png").exists()
    translate_images(model, paths, tmp_path / "made", overwrite=True)
    assert (tmp_path / "made" / "a.png").read_bytes() != before


def test_names_that_file_systems_have(model: Model, tmp_path: Path):
    """The longest, one of another encoding, and links to nothing."""
    path = write_picture(tmp_path / "in" / "a.png")
    names = [b"x" * 246 + b".jpg", b"caf\xe9.png", "caf\u00e9.png".encode()]
    for name in names:
        shutil.copy(path, os.fsencode(tmp_path / "in") + b"/" + name)
    (tmp_path / "in" / "gone.png").symlink_to("nowhere.png")
    result = translate_images(model, [tmp_path / "in"], tmp_path / "made")
    assert (result.pictures, result.notes) == (4, ("1 broken link left out",))
    assert {os.fsencode(place.name) for place in (tmp_path / "made").iterdir()} == {
        *(name.replace(b"jpg", b"png") for name in names),
        b"a.png",
    }


@pytest.mark.parametrize(
    "spec",
    [
        ResnetSpec.uniform(2, blocks=1, dropout=0.5),
        ResnetSpec.uniform(2, blocks=1, dropout=0.2, separable=("residual",)),
        UnetSpec.uniform(2, levels=6, dropout=0.5),
    ],
    ids=["resnet", "mobile", "unet"],
)
def test_dropout_stays_on_where_one_asks(tmp_path: Path, spec):
    torch.manual_seed(0)
    network = spec.build().eval()
    for weight in network.parameters():
        weight.data.mul_(3)  # so that the pictures are no plain gray
    model = Model(network, spec, {})
    path = write_picture(tmp_path / "a.png", 1, 64, 64)
    made = {}
    for name, seed in (("off", None), ("first", 3), ("again", 3), ("second", 4), ("off again", None)):
        translate_images(model, [path], tmp_path / name, dropout_seed=seed)
        made[name] = pixels(tmp_path / name / "a.png")
    np.testing.assert_array_equal(made["first"], made["again"])
    np.testing.assert_array_equal(made["off"], made["off again"])
    np.testing.assert_array_equal(made["off"], expected(model, path, None))
    assert np.abs(made["first"] - made["second"]).max() > 1
    assert np.abs(made["first"] - made["off"]).max() > 1
    plain = ResnetSpec.uniform(2, blocks=1)
    with pytest.raises(SpecError, match="--dropout-seed is for networks with dropout, and this resnet generator"):
        translate_images(Model(plain.build(), plain, {}), [path], tmp_path / "none", dropout_seed=3)


# -- channels and values -----------------------------------------------------------------------------------------


def of(into: Values, out: Values, card: bool = True) -> Model:
    """A model of such images, in whose card they stand or not."""
    torch.manual_seed(0)
    spec = ResnetSpec.uniform(2, blocks=1, in_channels=into.channels, out_channels=out.channels)
    held = {"input": into.model_dump(), "output": out.model_dump()} if card else {}
    return Model(spec.build().eval(), spec, held)


def written(path: Path) -> np.ndarray:
    return read_raster(path.read_bytes(), path)


GRAY12 = Values(channels=1, high=4095, dtype="uint16")
HEIGHTS = Values(channels=1, low=-1000, high=3000, dtype="int16")
BANDS = Values(channels=4, high=1, dtype="float32")


@pytest.mark.parametrize(
    ("into", "out", "suffix"),
    [
        (GRAY12, GRAY12, ".png"),
        (GRAY12, Values(), ".png"),
        (HEIGHTS, HEIGHTS, ".tif"),
        (BANDS, Values(channels=6), ".tif"),
        (Values(), BANDS, ".tif"),
        (Values(channels=1), Values(channels=3, high=65535, dtype="uint16"), ".tif"),
    ],
)
def test_pictures_hold_the_values_of_the_training(tmp_path: Path, into: Values, out: Values, suffix: str):
    """Low goes in as -1 and comes out as low, of 1 to 6 channels."""
    model = of(into, out)
    values = np.random.default_rng(1).uniform(into.low, into.high, (24, 28, into.channels))
    values = values.astype(np.float32) if into.dtype == "float32" else values.round().astype(into.dtype)
    np.save(tmp_path / "a.npy", values)
    made = translate_images(model, [tmp_path / "a.npy"], tmp_path / "made")
    assert made.notes == ()
    x = torch.from_numpy((values.astype(np.float32) - into.low) / (into.high - into.low) * 2 - 1)
    y = model.network(x.permute(2, 0, 1)[None])[0].detach().permute(1, 2, 0).double().numpy()
    expected = out.low + (y + 1) / 2 * (out.high - out.low)
    found = written(tmp_path / "made" / f"a{suffix}")
    assert found.shape == expected.shape
    assert suffix == ".png" or tifffile.imread(tmp_path / "made" / f"a{suffix}").dtype == out.dtype
    np.testing.assert_allclose(found, expected, atol=(out.high - out.low) / 250)


@pytest.mark.parametrize(("into", "out"), [(1, 3), (3, 1), (4, 4), (6, 3), (1, 1)])
def test_models_that_say_nothing_take_8_bits_of_their_channels(tmp_path: Path, into: int, out: int):
    model = of(Values(channels=into), Values(channels=out), card=False)
    values = np.random.default_rng(1).integers(0, 256, (16, 16, into)).astype(np.uint8)
    np.save(tmp_path / "a.npy", values)
    translate_images(model, [tmp_path / "a.npy"], tmp_path / "made")
    x = torch.from_numpy(values).permute(2, 0, 1)[None] / 127.5 - 1
    expected = (model.network(x)[0].detach().permute(1, 2, 0).numpy() + 1) * 127.5
    (path,) = (tmp_path / "made").iterdir()
    np.testing.assert_allclose(written(path), expected, atol=1)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_images_of_more_bits_for_a_model_of_8(model: Model, tmp_path: Path, bits: int):
    """Not nearly black in silence: by what all of them need, which is told; or as the user says."""
    whole = np.random.default_rng(1).integers(0, 256, (24, 24))
    top = 2**bits - 1
    whole[0, 0] = 255
    for name, values in (("a", whole * top // 255), ("b", whole * top // 600)):
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / f"{name}.png")
    Image.fromarray(whole.astype(np.uint8)).save(tmp_path / "plain.png")
    paths = [tmp_path / f"{name}.png" for name in ("a", "b", "plain")]
    made = translate_images(model, paths, tmp_path / "made")
    assert made.notes == (
        f"2 images of more than 8 bits were taken to go from 0 to {top}, as their values need, for a model of 8 "
        "bits; --range LOW:HIGH says another",
    )
    np.testing.assert_allclose(pixels(tmp_path / "made" / "a.png"), expected(model, paths[2], None), atol=3)
    np.testing.assert_allclose(pixels(tmp_path / "made" / "plain.png"), expected(model, paths[2], None), atol=1)
    said = translate_images(model, paths[:2], tmp_path / "said", range_=(0, top))
    assert said.notes == ()
    np.testing.assert_array_equal(pixels(tmp_path / "said" / "b.png"), pixels(tmp_path / "made" / "b.png"))


def test_what_a_user_is_told_of_values(tmp_path: Path):
    model = of(GRAY12, GRAY12)
    for name, values in (("8", np.full((16, 16), 200, np.uint8)), ("far", np.full((16, 16), 9000, np.uint16))):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    made = translate_images(model, [tmp_path / "8.png", tmp_path / "far.png"], tmp_path / "made")
    assert made.notes == (
        "1 images of 8 bits were taken to go from 0 to 255, where the model learnt from values of 0 to 4095",
        "1 images hold values beyond 0 to 4095, which were clipped; --range LOW:HIGH says another range",
    )
    assert translate_images(model, [tmp_path / "far.png"], tmp_path / "said", range_=(0, 16383)).notes == ()


def test_images_of_other_channels_are_refused(tmp_path: Path):
    path = write_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a.png has 3 channels, and the model takes 4; give images of its kind"):
        translate_images(of(BANDS, BANDS), [path], tmp_path / "made")
    assert not (tmp_path / "made").exists()
    card = {"input": {"channels": 5}, "output": {"channels": 3, "low": 3, "high": 1}}
    spec = ResnetSpec.uniform(2, blocks=1)
    with pytest.raises(DataError, match=r"does not say what its output images hold; mend it"):
        translate_images(Model(spec.build(), spec, card), [path], tmp_path / "made")
    with pytest.raises(DataError, match=r"speaks of input images of 5 channels, and its network has 3; mend it"):
        translate_images(Model(spec.build(), spec, {"input": card["input"]}), [path], tmp_path / "made")


def test_height_and_width(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "a.png", 1, height=21, width=30)
    translate_images(model, [path], tmp_path / "made", (20, 28))
    assert Image.open(tmp_path / "made" / "a.png").size == (28, 20)
    with pytest.raises(SpecError, match="size 18 does not fit a resnet generator"):
        translate_images(model, [path], tmp_path / "made", (20, 18))


# -- styles ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def styled() -> Model:
    torch.manual_seed(0)
    spec = MunitSpec.uniform(4, blocks=1)
    return Model(spec.build().eval(), spec, {"size": 16})


def translated(model: Model, paths: list[Path], made: Path, size=None, **options) -> list[np.ndarray]:
    assert translate_images(model, paths, made, size, **options).pictures == len(paths)
    return [pixels(made / f"{path.stem}.png") for path in paths]


def test_a_style_is_each_image_s_own_unless_a_seed_is_given(styled: Model, tmp_path: Path):
    paths = [write_picture(tmp_path / name, seed) for name, seed in (("a.png", 1), ("b.png", 2), ("c.png", 1))]
    a, _, c = own = translated(styled, paths, tmp_path / "own")
    np.testing.assert_array_equal(a, c)
    with torch.inference_mode():
        for path, made in zip(paths, own, strict=True):
            x = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 127.5 - 1
            y = of_images(styled.network)(x)[0].permute(1, 2, 0).numpy()
            np.testing.assert_allclose(made, (y + 1) * 127.5, atol=1)
    first, again, second = (
        translated(styled, paths, tmp_path / name, style_seed=seed)
        for name, seed in (("first", 3), ("again", 3), ("second", 4))
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first[0] - second[0]).max() > 1
    assert np.abs(first[0] - a).max() > 1


def test_one_seed_is_one_style(styled: Model, tmp_path: Path):
    """Two images in one style: there is a style that makes both."""
    paths = [write_picture(tmp_path / name, seed) for name, seed in (("a.png", 1), ("b.png", 2))]
    seen: list[torch.Tensor] = []
    read = styled.network.mlp.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    translate_images(styled, paths, tmp_path / "made", None, style_seed=3)
    read.remove()
    assert torch.equal(*seen)


def test_a_style_for_a_network_that_takes_none(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "a.png")
    with pytest.raises(SpecError, match="--style-seed is for networks that take a style, and a resnet generator"):
        translate_images(model, [path], tmp_path / "made", None, style_seed=3)


# -- label maps --------------------------------------------------------------------------------------------------


def painter(instances: bool = True, dont_care: bool = False) -> Model:
    """A model of maps of four classes."""
    torch.manual_seed(0)
    labels = {"classes": 4, "dont_care": dont_care, "instances": instances}
    spec = SpadeSpec.uniform(1, in_channels=4 + instances + dont_care, upsampling="normal")
    return Model(spec.build().eval(), spec, {"size": [64, 96], "labels": labels})


def painted(model: Model, labels: np.ndarray, ids: np.ndarray | None = None) -> np.ndarray:
    """The same in the plainest words, at the size of the map; 255 is the channel after the classes."""
    known = [0, 1, 2, 3, *([255] if model.card["labels"]["dont_care"] else [])]
    planes = [labels == value for value in known]
    if ids is not None:
        edge = np.zeros(ids.shape, bool)
        for (y, x), own in np.ndenumerate(ids):
            around = ids[max(y - 1, 0) : y + 2, x], ids[y, max(x - 1, 0) : x + 2]
            edge[y, x] = any((each != own).any() for each in around)
        planes.append(edge)
    with torch.inference_mode():
        y = model.network(torch.from_numpy(np.stack(planes)[None].astype(np.float32)))[0].permute(1, 2, 0)
    return (y.numpy() + 1) * 127.5


def test_label_maps_become_pictures(tmp_path: Path):
    model, labels, ids = painter(), numbers(1, 3, 64, 96), numbers(2, 9, 64, 96)
    path = write_map(tmp_path / "label" / "a.png", labels)
    write_map(tmp_path / "inst" / "a.png", ids.astype(np.uint16) * 1000)  # any numbers will do
    (with_ids,) = translated(model, [path], tmp_path / "made", instances=tmp_path / "inst")
    np.testing.assert_allclose(with_ids, painted(model, labels, ids), atol=0.51)
    (without,) = translated(model, [path], tmp_path / "again")
    np.testing.assert_allclose(without, painted(model, labels, labels), atol=0.51)
    assert np.abs(with_ids - without).max() > 1


def test_label_maps_are_resized_to_the_nearest_label_or_mirrored(tmp_path: Path):
    model, small = painter(instances=False, dont_care=True), numbers(1, 3, 32, 48)
    small[4:8] = 255
    large = np.kron(small, np.ones((2, 2), np.uint8))
    path = write_map(tmp_path / "a.png", small)
    (made,) = translated(model, [path], tmp_path / "made", (64, 96))
    np.testing.assert_allclose(made, painted(model, large), atol=0.51)
    (made,) = translated(model, [write_map(tmp_path / "b.png", large[:50, :70])], tmp_path / "made")
    rows, columns = (mirrored(length, 32, 32) for length in (50, 70))
    np.testing.assert_allclose(made, painted(model, large[rows][:, columns])[:50, :70], atol=0.51)


def test_coloured_label_maps(tmp_path: Path):
    model, labels = painter(instances=False), numbers(1, 3, 64, 96)
    colours = np.array([[0, 0, 0], [9, 9, 9], [0, 200, 0], [255, 0, 0]], np.uint8)
    path = write_map(tmp_path / "label" / "a.png", colours[labels])
    with pytest.raises(DataError, match=r"a\.png holds colours, and labels are numbers"):
        translate_images(model, [path], tmp_path / "made", None)
    palette = "\n".join(" ".join(map(str, colour)) for colour in colours)
    for number, place in enumerate((tmp_path, tmp_path / "label")):
        (place / "palette.txt").write_text(palette)
        (made,) = translated(model, [path], tmp_path / f"made{number}")
        np.testing.assert_allclose(made, painted(model, labels), atol=0.51)
        (place / "palette.txt").unlink()


def test_instance_maps_of_cityscapes(tmp_path: Path):
    model, labels, ids = painter(), numbers(1, 3, 64, 96), numbers(2, 9, 64, 96)
    path = write_map(tmp_path / "ulm_gtFine_labelIds.png", labels)
    write_map(tmp_path / "ulm_gtFine_instanceIds.png", ids)
    (made,) = translated(model, [path], tmp_path / "made", instances=tmp_path)
    np.testing.assert_allclose(made, painted(model, labels, ids), atol=0.51)


def test_label_maps_that_do_not_fit(model: Model, tmp_path: Path):
    path, made = write_map(tmp_path / "label" / "a.png", numbers(1, 5, 64, 96)), tmp_path / "made"
    with pytest.raises(DataError, match=r"a\.png holds the label 5; the model knows 0 to 3: mend the map"):
        translate_images(painter(), [path], made, None)
    also = r"a\.png holds the label 5; the model knows 0 to 3 and 255 for pixels of no class: mend the map"
    with pytest.raises(DataError, match=also):
        translate_images(painter(dont_care=True), [path], made, None)
    path = write_map(tmp_path / "label" / "a.png", numbers(1, 3, 64, 96))
    write_map(tmp_path / "inst" / "b.png", numbers(2, 9, 64, 96))
    with pytest.raises(DataError, match=r"a\.png has no instance map a in .*inst; add it or leave --instances out"):
        translate_images(painter(), [path], made, None, instances=tmp_path / "inst")
    write_map(tmp_path / "inst" / "a.png", numbers(2, 9, 32, 96))
    with pytest.raises(
        DataError, match=r"a\.png is 96x64 but .*a\.png is 96x32; make instances and labels equally"
    ):
        translate_images(painter(), [path], made, None, instances=tmp_path / "inst")
    for other in (painter(instances=False), model):
        with pytest.raises(SpecError, match="--instances is for models that see the edges of instances"):
            translate_images(other, [path], made, None, instances=tmp_path / "inst")
    lacking = (
        "takes label maps of 5 channels, and nothing says what their labels are; import it with --labels 5, or"
    )
    with pytest.raises(DataError, match=lacking):
        translate_images(painter()._replace(card={}), [path], made, None)
    for labels in ({"classes": 4}, {"classes": "four"}, {"clases": 4}, 5):
        with pytest.raises(
            DataError,
            match=r"labels in the card of this model are none of 5 channels: .*; import it with --labels 5",
        ):
            translate_images(painter()._replace(card={"labels": labels}), [path], made, None)
    assert not made.exists()


# -- files -------------------------------------------------------------------------------------------------------


def test_files_and_folders(model: Model, tmp_path: Path):
    for name in ("in/b.png", "in/a.bmp", "c.jpg", "in/notes.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no image")
        else:
            write_picture(tmp_path / name, len(name))
    said: list[tuple[int, int]] = []
    made = tmp_path / "deep" / "made"
    result = translate_images(
        model, [tmp_path / "in", tmp_path / "c.jpg"], made, None, lambda *done: said.append(done)
    )
    assert result.pictures == 3
    assert sorted(path.name for path in made.iterdir()) == ["a.png", "b.png", "c.png"]
    assert said == [(1, 3), (2, 3), (3, 3)]


def test_the_same_image_twice_is_one(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "in" / "a.png")
    translate_images(model, [path, tmp_path / "in"], tmp_path / "made", None)
    assert [made.name for made in (tmp_path / "made").iterdir()] == ["a.png"]


def test_equal_stems_clash(model: Model, tmp_path: Path):
    paths = [write_picture(tmp_path / "in" / name) for name in ("a.png", "a.jpg")]
    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png would both become a\.png; translate them into two"):
        translate_images(model, paths, tmp_path / "made", None)
    assert not (tmp_path / "made").exists()


def test_an_image_is_not_overwritten_by_its_picture(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "a.png")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="would overwrite the image itself; choose another --out"):
        translate_images(model, [path], tmp_path / "deep" / "..", None)
    assert path.read_bytes() == before
    translate_images(model, [write_picture(tmp_path / "b.jpg")], tmp_path, None)
    assert {"b.jpg", "b.png"} <= {each.name for each in tmp_path.iterdir()}


def test_sizes_that_the_network_cannot_take(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "small.png")
    with pytest.raises(SpecError, match="size 18 does not fit a resnet generator"):
        translate_images(model, [path], tmp_path / "made", 18)
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_made(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"a\.png cannot be made: File exists; choose another --out"):
        translate_images(model, [path], path, None)
