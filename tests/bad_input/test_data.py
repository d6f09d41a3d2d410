"""Data that cannot be used."""

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
from PIL import Image

from pocketgan.models import save_model
from pocketgan.networks import SpadeSpec
from tests.bad_input.conftest import Cli, refused, toy
from tests.conftest import draw_pairs
from tests.data.pictures import numbers, write_labels, write_map, write_picture, write_sets


def test_a_missing_folder(cli: Cli, tmp_path: Path, out: Path):
    refused(cli(*toy(tmp_path / "nowhere", out)), "must be a folder of images", str(tmp_path / "nowhere"))


def test_an_empty_folder(cli: Cli, tmp_path: Path, out: Path):
    (tmp_path / "empty").mkdir()
    refused(cli(*toy(tmp_path / "empty", out)), str(tmp_path / "empty"), "layouts that are known", "A/ B/")


def test_empty_folders_of_pairs(cli: Cli, tmp_path: Path, out: Path):
    for name in "AB":
        (tmp_path / "empty" / name).mkdir(parents=True)
    refused(cli(*toy(tmp_path / "empty", out)), "holds no images; add some")


def test_a_file_instead_of_a_folder(cli: Cli, data: Path, out: Path):
    refused(cli(*toy(data / "A" / "p00.png", out)), "must be a folder of images", "p00.png")


@pytest.mark.parametrize("name", [f"p{number:02}.png" for number in (0, 3, 4, 11)])
def test_a_truncated_image_of_any_split(cli: Cli, data: Path, out: Path, no_estimate: None, name: str):
    """Its header is whole: the damage shows only where the pixels are decoded."""
    path = data / "B" / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    outcome = cli(*toy(data, out))
    last = outcome.err.splitlines()[-1]
    refused(outcome._replace(err=last), str(path), "corrupt, truncated or no image; replace or remove it")
    assert "teacher:" not in outcome.err, "it is found before anything is trained"


def test_no_image_at_all(cli: Cli, data: Path, out: Path):
    (data / "A" / "p05.png").write_text("this is not a picture")
    refused(
        cli(*toy(data, out)), str(data / "A" / "p05.png"), "corrupt, truncated or no image; replace or remove it"
    )


def test_a_pair_of_unequal_size(cli: Cli, data: Path, out: Path):
    Image.new("RGB", (26, 24)).save(data / "B" / "p02.png")
    refused(
        cli(*toy(data, out)), "p02.png is 24x24 but", "p02.png is 26x24; make both images of a pair equally large"
    )


def test_an_odd_width(cli: Cli, tmp_path: Path, out: Path):
    data = draw_pairs(tmp_path / "aligned", "aligned")
    Image.new("RGB", (49, 24)).save(data / "p07.png")
    refused(cli(*toy(data, out)), "p07.png is 49 pixels wide", "even width: crop or remove it")


@pytest.mark.parametrize(("folder", "other"), ["AB", "BA"])
def test_a_missing_partner(cli: Cli, data: Path, out: Path, folder: str, other: str):
    (data / other / "p06.png").unlink()
    refused(
        cli(*toy(data, out)), str(data / folder / "p06.png"), "has no partner in", "; add it, remove the file, or"
    )


def test_images_smaller_than_the_size(cli: Cli, data: Path, out: Path):
    refused(cli(*toy(data, out, size=32)), "24x24, smaller than the size 32; pass --size 24 or less")


@pytest.mark.parametrize("place", ["", "A"])
def test_a_folder_that_may_not_be_read(
    cli: Cli, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    iterdir = Path.iterdir

    def forbidden(path: Path) -> Iterator[Path]:
        if path == data / place:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", forbidden)
    refused(cli(*toy(data, out)), f"cannot read {data / place}: Permission denied; check its name and permissions")


def test_too_few_pairs(cli: Cli, tmp_path: Path, out: Path):
    data = draw_pairs(tmp_path / "few", count=5)
    refused(cli(*toy(data, out)), "has 1 pair to select on", "at least 2; add images")


def spoil_labels(folder: Path, what: str) -> None:
    label, inst, photo = (folder / kind / "m02.png" for kind in ("label", "inst", "image"))
    if what == "images missing":
        rmtree(folder / "image")
    elif what == "a partner missing":
        photo.unlink()
    elif what == "colours":
        write_picture(label)
    elif what == "instances of another size":
        write_map(inst, numbers(0, 3, 24, 28))
    elif what == "an image of another size":
        write_picture(photo, 0, 28, 24)
    elif what == "a label too large":
        write_map(label, np.full((24, 24), 300, np.uint16))
    elif what == "an empty folder":
        rmtree(folder / "inst")
        (folder / "inst").mkdir()
    elif what == "a palette that is none":
        (folder / "palette.txt").write_text("black white")
    else:
        label.write_bytes(label.read_bytes()[:50])


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("images missing", "there is no folder .*image; add it: label maps need their images"),
        ("a partner missing", r"label/m02\.png has no partner in .*image; add it or remove the file"),
        (
            "colours",
            r"m02\.png holds colours, and labels are numbers; write the classes as numbers, or put palette",
        ),
        (
            "instances of another size",
            r"m02\.png is 24x24 but .*m02\.png is 28x24; make instances and labels equally",
        ),
        (
            "an image of another size",
            r"m02\.png is 24x24 but .*m02\.png is 24x28; make both images of a pair equally",
        ),
        ("a label too large", "the largest label is 300, and at most 254 can be used; are these instance maps"),
        ("an empty folder", "inst holds no images; add some or remove it"),
        ("a palette that is none", r"palette\.txt is no palette: it needs a line R G B for each class"),
        ("a damaged map", r"m02\.png is corrupt, truncated or no image; replace or remove it"),
    ],
)
def test_label_maps_that_cannot_be_used(cli: Cli, tmp_path: Path, out: Path, model: Path, what: str, reason: str):
    data = write_labels(tmp_path / "labels", 12, side=24)
    spoil_labels(data, what)
    for words in (toy(data, out), ("evaluate", model, data)):
        outcome = cli(*words)
        refused(outcome)
        assert re.search(reason, outcome.err), outcome.err


def test_a_label_out_of_range(cli: Cli, tmp_path: Path):
    data = write_labels(tmp_path / "labels", 12, side=32, instances=False)
    folder = tmp_path / "model"
    save_model(folder, SpadeSpec.uniform(1, in_channels=3, upsampling="normal").build(), {"size": 64})
    refused(
        cli("evaluate", folder, data, "--classes", 3),
        "label/m",
        "holds the label 4; labels are 0 to 2 here: pass --classes 5 or mend the map",
    )
    refused(cli("evaluate", folder, data, "--classes", 0), "--classes")
    refused(cli("evaluate", folder, data, "--classes", 256), "--classes 256 is not possible; give 1 to 255")


def test_options_that_do_not_fit_the_layout(cli: Cli, pairs: Path, tmp_path: Path, out: Path):
    labels = write_labels(tmp_path / "labels", 12, side=24)
    halves = draw_pairs(tmp_path / "halves", "aligned")
    refused(cli(*toy(labels, out, "--direction", "BtoA")), "label maps become images", "leave --direction BtoA out")
    refused(cli(*toy(pairs, out, "--classes", 3)), "--classes is for label maps", "has none; leave it out")
    refused(cli(*toy(halves, out, "--unpaired")), "--unpaired is for two folders", "side by side", "leave it out")
    refused(cli(*toy(labels, out, "--unpaired")), "--unpaired is for two folders", "label maps", "leave it out")


def test_two_sets_that_are_no_pairs(cli: Cli, pairs: Path, tmp_path: Path, out: Path):
    data = write_sets(tmp_path / "sets", 12, 9, side=24, folders=("trainA", "trainB"))
    refused(cli(*toy(data, out, "--paired")), "a00.png has no partner in", "(nor have 11 more); add it, remove")
    rmtree(data / "trainB")
    refused(cli(*toy(data, out)), "there is no folder", "trainB; add it: A needs B and B needs A")
    few = write_sets(tmp_path / "few", 12, 2, side=24)
    refused(cli(*toy(few, out)), "leaves no image to train on beside select and test; add training images")
