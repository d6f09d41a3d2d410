"""Exported files make the pictures, and get the scores, of the model folders that they come from."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import pocketgan as pg
from pocketgan.api.verbs import scored
from pocketgan.data.labels import LabelMaps
from pocketgan.data.raster import read_raster, save_raster
from pocketgan.deploy.exported import open_model
from pocketgan.errors import DataError, SpecError
from pocketgan.models import load_model, save_model
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec, UnetSpec, init_normal

from ..conftest import Outcome
from ..data.pictures import numbers, write_folders, write_map, write_picture

GRAY = {"channels": 1, "low": 0, "high": 4095, "dtype": "uint16"}
#: a network, what its card says, and the sides of its images: some have to be padded
MODELS = {
    "resnet": (ResnetSpec.uniform(2, blocks=1), {}, [(32, 24), (33, 21), (9, 1)]),
    "gray": (
        ResnetSpec.uniform(2, blocks=1, in_channels=1, out_channels=1),
        {"input": GRAY, "output": GRAY},
        [(24, 31)],
    ),
    "munit": (MunitSpec.uniform(1, blocks=1), {}, [(24, 24), (18, 33)]),
    "unet": (UnetSpec.uniform(1, levels=5), {}, [(32, 64), (40, 33)]),
    "labels": (
        SpadeSpec.uniform(1, in_channels=5, upsampling="normal"),
        {"labels": LabelMaps(classes=4, instances=True).model_dump(mode="json")},
        [(64, 64), (68, 72)],
    ),
}


@pytest.fixture(autouse=True)
def exports() -> None:
    """The file is given here; that the product writes it well is another test."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder and its ONNX file of each, and images in NAME.images."""
    root = tmp_path_factory.mktemp("exported")
    for name, (spec, card, sizes) in MODELS.items():
        network = init_normal(spec.build(), torch.Generator().manual_seed(0)).eval()
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(8 if name == "labels" else 5)  # so that the pictures are no plain grey
        side = 64 if name in ("labels", "unet") else 24
        save_model(root / name, network, {"size": [side, side], **card})
        pg.export(root / name, root / f"{name}.onnx")
        for number, (height, width) in enumerate(sizes):
            path = root / f"{name}.images" / f"{number}.png"
            if name == "labels":
                write_map(path, numbers(number, 3, height, width))
                write_map(root / "instances" / path.name, numbers(number + 9, 6, height, width))
            elif name == "gray":
                deep = np.random.default_rng(number).integers(0, 4096, (height, width, 1), dtype=np.uint16)
                path.parent.mkdir(exist_ok=True)
                save_raster(deep, path)
            else:
                write_picture(path, number, height, width)
    return root


@pytest.mark.parametrize("name", MODELS)
def test_the_pictures_are_those_of_the_folder(place: Path, tmp_path: Path, name: str):
    more = {"instances": place / "instances"} if name == "labels" else {}
    told = [
        pg.translate(place / text, place / f"{name}.images", tmp_path / text, **more)
        for text in (name, f"{name}.onnx")
    ]
    assert told[0] == told[1]
    paths = sorted((tmp_path / name).iterdir())
    assert len(paths) == len(MODELS[name][2])
    for path in paths:
        own, made = (
            read_raster((tmp_path / text / path.name).read_bytes(), path) for text in (name, f"{name}.onnx")
        )
        assert own.dtype == made.dtype == (np.uint16 if name == "gray" else np.uint8)
        assert own.std() > 3
        np.testing.assert_allclose(made.astype(int), own.astype(int), atol=1)


@pytest.mark.parametrize("name", ["resnet", "gray", "unet", "labels"])
def test_the_pictures_in_tiles_are_the_same(place: Path, tmp_path: Path, name: str):
    more = {"instances": place / "instances"} if name == "labels" else {}
    for tile in (0, 20):
        pg.translate(place / f"{name}.onnx", place / f"{name}.images", tmp_path / str(tile), tile=tile, **more)
    for path in sorted((tmp_path / "0").iterdir()):
        whole, tiled = (read_raster((tmp_path / tile / path.name).read_bytes(), path) for tile in ("0", "20"))
        assert whole.std() > 3
        np.testing.assert_allclose(tiled.astype(int), whole.astype(int), atol=1)


def test_files_that_cannot_be_cut_in_tiles(place: Path, tmp_path: Path, cli):
    """Such as one that takes more than an image."""
    code, _, err = cli(
        "translate", place / "munit.onnx", place / "munit.images", "-o", tmp_path / "a", "--tile", "16"
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "this network's input style does not; run it whole (translate: --tile off)" in err
    if find_spec("openvino"):
        pg.export(place / "resnet", tmp_path / "small.xml")
        image = place / "resnet.images" / "0.png"
        code, _, err = cli("translate", tmp_path / "small.xml", image, "-o", tmp_path / "b", "--tile", "16")
        assert (code, err.count("\n")) == (2, 1)
        assert "the runtime of small.xml runs it as a whole; take the model folder or its ONNX file" in err


def test_one_style_for_all(place: Path, tmp_path: Path):
    path = place / "munit.images" / "0.png"
    made = {}
    for text, seed in (("munit", 3), ("munit.onnx", 3), ("munit.onnx", 4)):
        pg.translate(place / text, path, tmp_path / f"{text}{seed}", style_seed=seed)
        made[text, seed] = read_raster((tmp_path / f"{text}{seed}" / "0.png").read_bytes(), path).astype(int)
    np.testing.assert_allclose(made["munit.onnx", 3], made["munit", 3], atol=1)
    assert np.abs(made["munit.onnx", 4] - made["munit", 3]).max() > 3


def test_the_scores_are_those_of_the_folder(place: Path, tmp_path: Path):
    data = write_folders(tmp_path, 4, 24)
    own, of_file = (
        scored(place / text, data, metrics=["l1", "teacher_l1"], split="all", teacher=place / "resnet.onnx")
        for text in ("resnet", "resnet.onnx")
    )
    assert of_file.task.size == (24, 24)
    assert of_file.evaluation.scores["l1"] == pytest.approx(own.evaluation.scores["l1"], rel=1e-3)
    assert of_file.evaluation.scores["teacher_l1"] == 0


@pytest.mark.parametrize("ending", ["onnx", "xml"])
def test_files_of_one_size(place: Path, tmp_path: Path, cli, ending: str):
    """They take one image at a time, too."""
    if ending == "xml" and not find_spec("openvino"):
        pytest.skip("openvino is not installed")
    file = tmp_path / f"one.{ending}"
    pg.export(place / "resnet", file, size=(16, 24), fixed=True)
    assert json.loads((tmp_path / f"{file.name}.json").read_text())["sides"] == "fixed"
    image = place / "resnet.images" / "0.png"
    assert cli("translate", file, image, "-o", tmp_path / "made") == Outcome(
        2,
        "",
        f"pocketgan: {image}: {file} takes images of 16x24 pixels alone, not of 32x24; say --size 16x24, or export "
        "it to ONNX without --fixed\n",
    )
    assert not (tmp_path / "made").exists()
    assert cli("translate", file, image, "-o", tmp_path / "made", "--size", "16x24").code == 0
    assert len(pg.evaluate(file, write_folders(tmp_path / "data", 3, 24), metrics=["l1"], split="all").names) == 3
    x = torch.rand(3, 3, 16, 24) * 2 - 1
    own = load_model(place / "resnet").network
    with torch.no_grad():
        np.testing.assert_allclose(open_model(str(file)).network(x), own(x), atol=1e-3)


def test_the_card_inside_is_enough(place: Path, tmp_path: Path):
    (tmp_path / "small.onnx").write_bytes((place / "gray.onnx").read_bytes())
    model, own = open_model(str(tmp_path / "small.onnx")), load_model(place / "gray")
    assert (model.spec, model.size, model.source, model.target) == (own.spec, own.size, own.source, own.target)


def test_files_in_other_hands(place: Path, tmp_path: Path, cli):
    """One line each, and nothing is written."""
    image, out = place / "resnet.images" / "0.png", tmp_path / "made"

    def told(file: Path, *words: str) -> str:
        code, said, err = cli("translate", file, image, "-o", out, *words)
        assert (code, said, err.count("\n"), out.exists()) == (2, "", 1, False)
        return err.removeprefix("pocketgan: ").rstrip()

    file = tmp_path / "small.onnx"
    assert told(file).startswith(f"{file} does not exist; give a file for onnxruntime, a model folder")
    whole, card = (place / "resnet.onnx").read_bytes(), (place / "resnet.onnx.json").read_text()
    bare = onnx.load_from_string(whole)
    del bare.metadata_props[:]
    onnx.save(bare, file)
    assert told(file) == (
        f"{file} has no card, which says what network it is and what its values mean; put small.onnx.json beside "
        "it as `pocketgan export` wrote it, or export its PyTorch network (from Python: pocketgan.export)"
    )
    beside = tmp_path / "small.onnx.json"
    beside.write_text("{}")
    assert told(file).startswith(f"the card of {file} does not say what network it is; put back small.onnx.json")
    beside.write_text("[1, 2]")
    assert told(file).startswith(f"the card of {file} is damaged; put it back")
    beside.write_text((place / "gray.onnx.json").read_text())
    assert told(file).startswith(f"{file} takes 3 channels, and its card speaks of 1: it is that of another file")
    beside.write_text(card)
    assert told(file, "--dropout-seed", "1").startswith("--dropout-seed is for model folders, and an exported file")
    assert told(file, "--style-seed", "1").startswith(
        "--style-seed is for networks that take a style, and a resnet"
    )
    next(node for node in bare.graph.node if node.op_type == "Conv").op_type = "Convolute"
    onnx.save(bare, file)
    assert told(file).startswith(f"{file} is damaged, or needs what onnxruntime ")
    assert "Convolute" in told(file)
    file.write_bytes(whole[:200])
    assert told(file).startswith(f"{file} is damaged, or needs what onnxruntime ")


def test_a_runtime_that_is_not_installed(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pocketgan.deploy.serving.find_spec", lambda name: None)
    (tmp_path / "small.xml").write_text("<net/>")
    (tmp_path / "small.xml.json").write_text((place / "resnet.onnx.json").read_text())
    with pytest.raises(SpecError, match=r"openvino is not installed here; .* pip install 'pocketgan\[openvino\]'"):
        open_model(str(tmp_path / "small.xml"))


def test_a_network_that_fails_on_an_image(place: Path):
    """As that of a graph with a size inside which its inputs do not tell."""
    network = open_model(str(place / "resnet.onnx")).network
    with pytest.raises(
        DataError, match=r"resnet\.onnx fails on images of 24 pixels \(.*; export it again, or at that"
    ):
        network(torch.zeros(1, 4, 24, 24))
