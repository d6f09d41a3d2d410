"""What a page offers of runs and models, and the verb around it."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from pocketgan.data.cache import Images
from pocketgan.data.images import to_tensor
from pocketgan.data.labels import LabelMaps
from pocketgan.data.values import Values
from pocketgan.demo.folder import MARK, write_folder
from pocketgan.demo.offer import Example, Offer, examples_of, offer_of
from pocketgan.demo.site import ROOM, RUNTIMES, site_of
from pocketgan.elastic.cost import cost
from pocketgan.errors import OutputError, SpecError
from pocketgan.models import load_model, save_model
from pocketgan.networks import ResnetSpec, parse_spec
from pocketgan.runs.report import read_report
from tests.bad_input.conftest import files, refused
from tests.conftest import Outcome, ToyRun
from tests.demo.conftest import Toy

Cli = Callable[..., Outcome]


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(scope="module")
def run(toy_run: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copytree(toy_run.folder, tmp_path_factory.mktemp("demo") / "run")


@pytest.fixture(scope="module")
def offer(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Offer:
    return offer_of(str(run), tmp_path_factory.mktemp("cache"), None, quiet)


def test_a_run(offer: Offer, run: Path):
    report = read_report(run)
    assert offer.size == report.task.size
    assert [each.name for each in offer.contestants][-1] == "teacher"
    assert sorted(each.macs for each in offer.front) == [each.macs for each in offer.front]
    assert {each.macs for each in offer.front} == {each.macs for each in report.front()}
    rows = {row.kind: row for row in report.rows}
    for contestant in (offer.teacher, next(each for each in offer.front if each.name == offer.start)):
        row = rows[contestant.name]
        assert (contestant.macs, contestant.params) == (row.macs, row.params)
    # the files are those networks
    x = torch.rand(1, 3, *offer.size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made = onnxruntime.InferenceSession(offer.front[-1].file).run(None, {"image": x.numpy()})[0]
    assert made.shape == (1, 3, *offer.size)
    compressed = next(each for each in offer.front if each.name == "compressed")
    made = onnxruntime.InferenceSession(compressed.file).run(None, {"image": x.numpy()})[0]
    np.testing.assert_allclose(made, load_model(run / "model").network(x).detach(), atol=1e-3)
    assert all(each.source.shape == each.target.shape == (*offer.size, 3) for each in offer.examples)


def test_subnets_are_made_once(offer: Offer, run: Path, tmp_path: Path):
    before = files(run)
    again = offer_of(str(run), tmp_path, None, quiet)
    assert [each.file for each in again.front] == [each.file for each in offer.front]
    assert files(run) == before


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some bytes in place of an export, which takes seconds."""
    monkeypatch.setattr(
        "pocketgan.demo.offer.export_verified", lambda network, size, path: path.write_bytes(b"network")
    )


def model(folder: Path, text: str, card: dict) -> Path:
    save_model(folder, parse_spec(text).build(), card)
    return folder


@pytest.mark.usefixtures("no_export")
def test_a_model_with_styles(tmp_path: Path):
    """One that takes a style, of which nothing but the model is known."""
    folder = model(tmp_path / "munit", "mobile-munit:2", {"size": 16})
    munit = offer_of(str(folder), tmp_path, None, quiet)
    assert (munit.kind, munit.style, munit.teacher, munit.examples) == ("photo", 8, None, [])
    assert {key: getattr(munit.front[0], key) for key in ("macs", "params")} == {
        key: cost(load_model(tmp_path / "munit").spec, 16, 16)[key] for key in ("macs", "params")
    }
    site = site_of(munit, served=True)
    about = json.loads(site["demo.json"].open()[0].read())
    assert (about["style"], about["report"], about["teacher"]) == (8, False, None)


@pytest.mark.usefixtures("no_export")
def test_label_maps(tmp_path: Path):
    maps = LabelMaps(classes=35, instances=True)
    folder = model(tmp_path / "labels", "resnet:2", {"size": 16})
    spec = ResnetSpec.uniform(2, blocks=1, in_channels=maps.channels)
    save_model(folder, spec.build(), {"size": 16, "labels": maps.model_dump()})
    offer = offer_of(str(folder), tmp_path, None, quiet)
    assert offer.kind == "labels"
    assert len({paint.colour for paint in offer.paints}) == len(offer.paints) == 35
    assert [offer.paints[label].name for label in (0, 7, 26, 33)] == ["unlabelled", "road", "car", "bicycle"]
    assert [paint.label for paint in offer.paints] == [*range(35)]


@pytest.mark.usefixtures("no_export")
def test_a_folder_of_examples(cli: Cli, tmp_path: Path):
    folder = model(tmp_path / "model", "resnet:2", {"size": 16})
    (tmp_path / "own").mkdir()
    Image.fromarray(np.full((40, 30, 3), 77, np.uint8)).save(tmp_path / "own" / "gray.png")
    ended = cli("demo", folder, "--data", tmp_path / "own", "--static", tmp_path / "page")
    assert ended.code == 0, ended.err
    about = json.loads((tmp_path / "page" / "demo.json").read_text())
    assert (about["kind"], about["served"], about["examples"][0]["name"]) == ("drawing", False, "gray")
    assert about["runtimes"] == list(RUNTIMES)
    page = tmp_path / "page"
    assert "Cross-Origin-Opener-Policy" in (page / "HOSTING.txt").read_text()
    beside = sum(path.stat().st_size for path in page.rglob("*") if path.is_file() and path.suffix != ".onnx")
    assert beside <= 6e6
    assert (np.asarray(Image.open(page / "examples" / "0.png")) == 77).all()


@pytest.mark.usefixtures("no_export")
def test_a_model_with_a_front_and_examples(cli: Cli, tmp_path: Path):
    """Models of other budgets in front/, pairs to start from in examples/."""
    folder = model(tmp_path / "model", "resnet:4", {"size": 16, "score": "L1 0.1 on test"})
    model(folder / "front" / "tiny", "resnet:2", {"size": 16})
    for domain, level in (("A", 255), ("B", 77)):
        (folder / "examples" / domain).mkdir(parents=True)
        Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(folder / "examples" / domain / "one.png")
    offer = offer_of(str(folder), tmp_path, None, quiet)
    assert [(each.name, each.title) for each in offer.front] == [("front-1", "tiny"), ("compressed", "model")]
    assert [each.params for each in offer.front] == [
        cost(parse_spec(f"resnet:{n}"), 16, 16)["params"] for n in (2, 4)
    ]
    assert (offer.front[1].score_text, offer.start) == ("L1 0.1 on test", "compressed")
    (example,) = offer.examples
    assert example.name == "one"
    assert (example.source == 255).all()
    assert (example.target == 77).all()
    model(folder / "front" / "large", "resnet:2", {"size": 32})
    ended = cli("demo", folder, "--static", tmp_path / "page")
    refused(ended, "front/large", "other images")


@pytest.mark.usefixtures("no_export")
def test_gray_models(tmp_path: Path):
    """What the page shows of values beyond 8 bits are their upper 8; what nobody can paint is refused."""
    values = Values(channels=1, high=4095, dtype="uint16")
    spec = ResnetSpec.uniform(2, blocks=1, in_channels=1, out_channels=1)
    save_model(folder := tmp_path / "gray", spec.build(), {"size": 16, "input": values.model_dump()})
    (own := tmp_path / "own").mkdir()
    Image.fromarray(np.full((16, 16), 2048, np.uint16)).save(own / "half.png")
    gray = offer_of(str(folder), tmp_path, own, quiet)
    assert (gray.values, [example.source.shape for example in gray.examples]) == (values, [(16, 16, 3)])
    assert (gray.examples[0].source == 128).all()
    about = json.loads(site_of(gray, served=True)["demo.json"].open()[0].read())
    assert (about["channels"], about["deep"]) == (1, True)
    # of a run, whose pixels are kept already
    kept = np.full((1, 16, 16, 1), 2 << 14, np.uint16)
    (example,) = examples_of(Images(["half"], kept), Images(["half"], kept + 255))
    assert (example.source == 128).all()
    assert (example.target == 128).all()
    save_model(tmp_path / "four", ResnetSpec.uniform(2, in_channels=4).build(), {"size": 16})
    with pytest.raises(SpecError, match="takes 4 channels; run it with `pocketgan translate`"):
        offer_of(str(tmp_path / "four"), tmp_path, None, quiet)


def test_examples_have_a_size_at_most(toy: Toy):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    site = site_of(replace(toy.offer, examples=[Example(name="noise", source=noise)] * 8), served=False)
    told = json.loads(site["demo.json"].open()[0].read())["examples"]
    sizes = [file.open()[1] for address, file in site.items() if address.startswith("examples/")]
    assert len(told) == len(sizes) == 2
    assert sum(sizes) <= ROOM < 1.5 * sum(sizes)


def test_the_report_of_a_folder_is_live(offer: Offer, tmp_path: Path):
    assert MARK in offer.report.read_text()
    write_folder(site_of(offer, served=False), tmp_path / "page")
    text = (tmp_path / "page" / "report.html").read_text()
    assert '<iframe src="./#embed"' in text
    assert MARK not in text


def test_what_is_refused(cli: Cli, toy: Toy, run: Path, tmp_path: Path):
    refused(cli("demo", tmp_path / "nothing"), "does not exist; give a model folder, a run folder")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not empty; choose another folder with --static"):
        write_folder(site_of(toy.offer, served=False), tmp_path / "full")
    report = run / "report.json"
    text = report.read_text()
    report.write_text("{}")
    try:
        refused(cli("demo", run), "report.json is damaged; write it with `pocketgan report")
    finally:
        report.write_text(text)


def test_the_verb_serves(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It says where, and ends at Ctrl-C with success."""
    from pocketgan.demo.server import Server

    def interrupted(server: Server) -> None:
        assert server.server_address[0] == "127.0.0.1"
        x = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(x).save(buffer := io.BytesIO(), format="PNG")
        made = server.translator("compressed", buffer.getvalue())
        expected = load_model(folder).network(to_tensor(x[None]))[0].detach()
        np.testing.assert_allclose(made, expected, atol=1e-3)
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    folder = model(tmp_path / "model", "resnet:2", {"size": 16})
    ended = cli("demo", folder, "--port", "0")
    assert (ended.code, ended.err.count("Traceback")) == (0, 0)
    assert ended.out.startswith("open http://127.0.0.1:")
