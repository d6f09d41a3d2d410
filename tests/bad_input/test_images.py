"""Images and label maps that cannot be translated or scored."""

from pathlib import Path

from PIL import Image

from pocketgan.models import save_model
from pocketgan.networks import SpadeSpec
from tests.bad_input.conftest import Cli, files, refused
from tests.data.pictures import numbers, write_map, write_picture


def test_images_that_cannot_be_translated(cli: Cli, model: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_text("no picture")
    Image.new("RGB", (40, 10)).save(tmp_path / "flat.png")
    before = files(tmp_path)
    made = ("-o", tmp_path / "made")
    refused(
        cli("translate", model, tmp_path / "nowhere.png", *made), "nowhere.png does not exist; name image files"
    )
    refused(cli("translate", model, tmp_path / "empty", *made), "empty holds no images; name a folder with images")
    refused(cli("translate", model, tmp_path / "bad.png", *made), "bad.png is corrupt, truncated or no image")
    refused(
        cli("translate", model, tmp_path / "flat.png", *made, "--size", 0),
        "--size '0' cannot be read; write a side as 256",
    )
    refused(cli("translate", model, tmp_path / "flat.png"), "--out")
    assert files(tmp_path) == before
    assert not (tmp_path / "made").exists()


def test_label_maps_that_cannot_be_translated(cli: Cli, model: Path, tmp_path: Path):
    labels = {"classes": 4, "dont_care": False, "instances": True}
    spec = SpadeSpec.uniform(1, in_channels=5, upsampling="normal")
    for name, card in (("painter", {"size": 64, "labels": labels}), ("silent", {"size": 64})):
        save_model(tmp_path / name, spec.build(), card)
    good = write_map(tmp_path / "label" / "good.png", numbers(0, 3, 64, 64))
    bad = write_map(tmp_path / "label" / "bad.png", numbers(0, 4, 64, 64))
    write_map(tmp_path / "inst" / "bad.png", numbers(0, 9, 64, 64))
    write_picture(tmp_path / "label" / "photo.jpg")
    write_map(tmp_path / "small" / "good.png", numbers(0, 9, 32, 64))
    made = ("-o", tmp_path / "made")
    painter = ("translate", tmp_path / "painter")
    refused(cli(*painter, bad, *made), "bad.png holds the label 4; the model knows 0 to 3: mend the map")
    refused(cli(*painter, tmp_path / "label" / "photo.jpg", *made), "photo.jpg is a JPEG", "save label maps as PNG")
    refused(
        cli(*painter, good, *made, "--instances", tmp_path / "inst"),
        "good.png has no instance map good in",
        "add it or leave --instances out",
    )
    refused(
        cli(*painter, good, *made, "--instances", tmp_path / "small"),
        "good.png is 64x64 but",
        "good.png is 64x32; make instances and labels equally large",
    )
    refused(cli(*painter, good, *made, "--instances", tmp_path / "none"), "there is no folder", "none; add it")
    refused(
        cli("translate", tmp_path / "silent", good, *made),
        "labels are; import it with --labels 5",
    )
    refused(
        cli("translate", model, good, *made, "--instances", tmp_path / "inst"),
        "--instances is for models that see the edges of instances, and this one does not; leave it out",
    )
    assert not (tmp_path / "made").exists()


def test_styles_that_cannot_be(cli: Cli, model: Path, pairs: Path, tmp_path: Path):
    words = ("translate", model, pairs / "A", "-o", tmp_path / "made", "--style-seed")
    refused(cli(*words, 1), "--style-seed is for networks that take a style, and a resnet generator takes none")
    refused(cli(*words, -1), "--style-seed")
    refused(cli(*words, "blue"), "--style-seed")
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_one_name(cli: Cli, model: Path, pairs: Path, tmp_path: Path):
    refused(
        cli("translate", model, pairs, pairs / "A", pairs / "B", "-o", tmp_path / "made"),
        "holds no images",
    )
    refused(
        cli("translate", model, pairs / "A", pairs / "B", "-o", tmp_path / "made"),
        "would both become p00.png; translate them into two folders",
    )
    assert list(tmp_path.iterdir()) == []


def test_images_are_not_overwritten(cli: Cli, model: Path, data: Path):
    before = files(data)
    refused(
        cli("translate", model, data / "A", "-o", data / "A"), "would overwrite the image itself; choose another"
    )
    assert files(data) == before


def test_an_evaluation_without_pairs(cli: Cli, model: Path, data: Path, tmp_path: Path):
    refused(cli("evaluate", model, tmp_path / "nowhere"), "must be a folder of images")
    refused(cli("evaluate", model, data, "--size", 32), "smaller than the size 32; pass --size 24 or less")
    (data / "A" / "p04.png").write_bytes((data / "A" / "p04.png").read_bytes()[:90])
    outcomes = [cli("evaluate", model, data, "--split", split) for split in ("train", "select", "test")]
    (bad,) = [outcome for outcome in outcomes if outcome.code]
    refused(bad, "p04.png is corrupt, truncated or no image")
