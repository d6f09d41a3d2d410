from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pocketgan.deploy.translate import translate_images
from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.models import Model, of_images
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec

from ..data.pictures import numbers, write_map, write_picture


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    spec = ResnetSpec.uniform(2, blocks=1)
    return Model(spec.build().eval(), spec, {"size": 24})


def expected(model: Model, path: Path, side: int | None) -> np.ndarray:
    """The same in the plainest words: read, resize or cut, scale, run, scale back."""
    image = Image.open(path).convert("RGB")
    if side:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    else:
        image = image.crop((0, 0, image.width // 4 * 4, image.height // 4 * 4))
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    y = model.network(x)[0].detach().permute(1, 2, 0).numpy()
    return np.round((y + 1) / 2 * 255).clip(0, 255)


def pixels(path: Path) -> np.ndarray:
    image = Image.open(path)
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image).astype(float)


@pytest.mark.parametrize(("size", "side"), [(None, 24), (32, 32), (0, 0)])
def test_pictures_are_those_of_the_network(model: Model, tmp_path: Path, size: int | None, side: int):
    path = write_picture(tmp_path / "wide.png", 1, height=21, width=30)
    assert translate_images(model, [path], tmp_path / "made", size) == 1
    np.testing.assert_allclose(pixels(tmp_path / "made" / "wide.png"), expected(model, path, side), atol=1)


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
    assert translate_images(model, paths, made, size, **options) == len(paths)
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


def test_label_maps_are_resized_to_the_nearest_label_or_cut(tmp_path: Path):
    model, small = painter(instances=False, dont_care=True), numbers(1, 3, 32, 48)
    small[4:8] = 255
    large = np.kron(small, np.ones((2, 2), np.uint8))
    path = write_map(tmp_path / "a.png", small)
    np.testing.assert_allclose(translated(model, [path], tmp_path / "made")[0], painted(model, large), atol=0.51)
    path = write_map(tmp_path / "b.png", np.pad(large, ((0, 3), (0, 31))))
    (made,) = translated(model, [path], tmp_path / "made", 0)
    np.testing.assert_allclose(made, painted(model, large), atol=0.51)


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
    with pytest.raises(
        DataError, match="takes label maps of 5 channels, and nothing says what their labels are; add"
    ):
        translate_images(painter()._replace(card={}), [path], made, None)
    for labels in ({"classes": 4}, {"classes": "four"}, {"clases": 4}, 5):
        with pytest.raises(
            DataError, match=r"labels in the card of this model are none of 5 channels: .*; mend its"
        ):
            translate_images(painter()._replace(card={"labels": labels}), [path], made, None)
    assert not made.exists()


# -- files -------------------------------------------------------------------------------------------------------


def test_a_model_without_a_size_takes_256(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "a.png")
    translate_images(model._replace(card={}), [path], tmp_path / "made", None)
    assert Image.open(tmp_path / "made" / "a.png").size == (256, 256)


def test_files_and_folders(model: Model, tmp_path: Path):
    for name in ("in/b.png", "in/a.bmp", "c.jpg", "in/notes.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no image")
        else:
            write_picture(tmp_path / name, len(name))
    said: list[tuple[int, int]] = []
    made = tmp_path / "deep" / "made"
    count = translate_images(
        model, [tmp_path / "in", tmp_path / "c.jpg"], made, None, lambda *done: said.append(done)
    )
    assert count == 3
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
    path = write_picture(tmp_path / "small.png", 0, height=13, width=40)
    with pytest.raises(SpecError, match="size 18 does not fit a resnet generator"):
        translate_images(model, [path], tmp_path / "made", 18)
    with pytest.raises(DataError, match=r"small\.png is 40x13, smaller than the 16 pixels that a resnet"):
        translate_images(model, [path], tmp_path / "made", 0)
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_made(model: Model, tmp_path: Path):
    path = write_picture(tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"a\.png cannot be made: File exists; choose another --out"):
        translate_images(model, [path], path, None)
