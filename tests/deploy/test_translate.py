from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pocketgan.deploy.translate import translate_images
from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.models import Model
from pocketgan.networks import ResnetSpec

from ..data.pictures import write_picture


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
