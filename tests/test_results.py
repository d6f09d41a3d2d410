"""Verbs that use a result: evaluate, translate, export."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from pocketgan.data.labels import COCO, LabelMaps
from pocketgan.interop.official import save_official
from pocketgan.models import load_model, save_model
from pocketgan.networks import MunitSpec, SpadeSpec, init_normal, parse_spec
from tests.conftest import Outcome, ToyRun, printed, rows_of
from tests.data.pictures import numbers, write_map, write_picture

Cli = Callable[..., Outcome]


def test_evaluate(cli: Cli, toy_run: ToyRun):
    words = ("evaluate", toy_run.folder, toy_run.data)
    found = json.loads(printed(cli(*words, "--json")))
    about = {"model", "also", "split", "images", "size", "data_digest", "protocol", "sha256", "warnings"}
    assert found.keys() == about | {"scores", "intervals", "errors", "worst", "members"}
    assert (found["split"], found["images"], found["size"]) == ("test", 3, 24)
    assert found["scores"].keys() == found["intervals"].keys()
    report = json.loads((toy_run.folder / "report.json").read_text())
    scores = rows_of(toy_run.folder)["compressed"]["scores"]
    assert found["scores"] == pytest.approx({name: scores[name] for name in found["scores"]})
    assert found["data_digest"] == report["task"]["digest"]
    for low, high in found["intervals"].values():
        assert low <= high
    text = printed(cli(*words, "--metrics", "l1,psnr", "--split", "select"))
    assert text.splitlines()[0] == "2 images of the select split at 24 pixels"
    assert "ssim" not in text


def test_evaluate_two_runs(cli: Cli, toy_run: ToyRun):
    words = ("evaluate", toy_run.folder, toy_run.folder)
    found = json.loads(printed(cli(*words, "--json")))
    assert (found["images"], found["protocol"]) == (3, "held-out")
    scores = rows_of(toy_run.folder)["compressed"]["scores"]
    assert {each["metric"]: each["second"] for each in found["differences"]} == pytest.approx(scores)
    told = {each["metric"]: each["verdict"] for each in found["differences"]}
    assert told.pop("fd_mobilenet_v2") == "withheld", "three images decide nothing as a set"
    assert {*told.values()} == {"noise"}
    assert "noise" in printed(cli(*words))


def test_translate(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    outcome = cli("translate", toy_run.folder, toy_run.data / "A", "-o", tmp_path / "made")
    assert (outcome.code, outcome.out) == (0, f"12 images written to {tmp_path / 'made'}, each at its own size\n")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [f"p{n:02}.png" for n in range(12)]
    assert {Image.open(path).size for path in (tmp_path / "made").iterdir()} == {(24, 24)}


def test_export(cli: Cli, toy_run: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    line = printed(cli("export", toy_run.folder, "--format", "onnx"))
    again = cli("export", toy_run.folder, "--format", "onnx")
    assert (again.code, again.err) == (
        2,
        "pocketgan: run.onnx is there already; choose another --out, or say --overwrite\n",
    )
    assert printed(cli("export", toy_run.folder, "--format", "onnx", "--overwrite")) == line
    file = tmp_path / "run.onnx"
    assert line.startswith(f"run.onnx: {file.stat().st_size:,} bytes, largest difference to PyTorch ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.onnx", "run.onnx.json"]
    assert json.loads((tmp_path / "run.onnx.json").read_text())["verified"]["images"] == 2
    session = onnxruntime.InferenceSession(file)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 32, 24)).astype(np.float32)
    y = load_model(toy_run.folder / "model").network(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(session.run(None, {"image": x})[0], y, atol=1e-3)


def test_a_style_from_the_checkpoint_to_the_runtime(cli: Cli, tmp_path: Path):
    """Translated with a seed, and exported with an input of its own."""
    save_model(tmp_path / "munit", MunitSpec.uniform(4, blocks=1).build(), {"size": 16})
    for number in range(2):
        write_picture(tmp_path / "in" / f"p{number}.png", number)
    words = ("translate", tmp_path / "munit", tmp_path / "in", "--style-seed", 3, "-o", tmp_path / "made")
    assert cli(*words).out == f"2 images written to {tmp_path / 'made'}, each at its own size\n"
    file = tmp_path / "style.onnx"
    # a name without an ending gets that of the format
    assert ": largest difference" not in printed(cli("export", tmp_path / "munit", "-o", tmp_path / "style"))
    session = onnxruntime.InferenceSession(file)
    assert [each.name for each in session.get_inputs()] == ["image", "style"]
    assert json.loads(printed(cli("profile", file, "--size", 24, "--json")))["latency_ms"]["onnxruntime"] > 0


def test_labels_from_the_checkpoint_to_pictures(cli: Cli, tmp_path: Path):
    """The published channels of a SPADE say what its labels are; the size of its images may be oblong."""
    spec = parse_spec("mobile-spade:1@coco")
    save_official(init_normal(spec.build(), torch.Generator().manual_seed(0)), tmp_path / "net.pth")
    words = ("import", tmp_path / "net.pth", "-o", tmp_path / "model", "--size", "64x96", "--json")
    assert "label maps as those of COCO-Stuff: 184 channels" in json.loads(printed(cli(*words)))["assumptions"]
    card = load_model(tmp_path / "model").card
    assert (card["size"], card["labels"]) == ([64, 96], COCO.model_dump())
    labels = numbers(1, 181, 32, 48)
    labels[:8] = 255
    path = write_map(tmp_path / "label" / "a.png", labels)
    outcome = cli("translate", tmp_path / "model", path, "--instances", path.parent, "-o", tmp_path / "made")
    padded = (
        f"1 image written to {tmp_path / 'made'}, each at its own size, 1 padded by reflection to multiples of "
    )
    assert (outcome.code, outcome.out.startswith(padded)) == (0, True)
    assert Image.open(tmp_path / "made" / "a.png").size == (48, 32)


@pytest.mark.parametrize(
    ("text", "maps"),
    [
        ("10", LabelMaps(classes=10)),
        ("9+instances", LabelMaps(classes=9, instances=True)),
        ("8+dont-care+instances", LabelMaps(classes=8, dont_care=True, instances=True)),
    ],
)
def test_label_maps_of_one_s_own(cli: Cli, tmp_path: Path, text: str, maps: LabelMaps):
    spec = SpadeSpec.uniform(1, in_channels=10)
    save_official(init_normal(spec.build(), torch.Generator().manual_seed(0)), tmp_path / "net.pth")
    words = ("import", tmp_path / "net.pth", "--size", 128, "--json")
    told = "nothing of its 10 channels; to translate, say --labels 10, or 9+instances"
    assert told in json.loads(printed(cli(*words)))["assumptions"]
    model = tmp_path / "model"
    assert f"label maps of {text}: 10 channels" in printed(cli(*words, "--labels", text, "-o", model))
    assert load_model(model).card["labels"] == maps.model_dump()
    path = write_map(tmp_path / "label" / "a.png", numbers(1, maps.classes - 1, 64, 64))
    assert cli("translate", model, path, "-o", tmp_path / "made").out.startswith("1 image written")
    assert (
        "makes 11 channels, and this generator takes 10; give 10, or 9+instances" in cli(*words, "--labels", 11).err
    )
    assert "cannot be read; write 10, 9+instances or" in cli(*words, "--labels", "9+edges").err
