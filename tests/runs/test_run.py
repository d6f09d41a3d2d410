"""What a run leaves, and what the same command does when it is there."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from pocketgan.data.cache import load_examples
from pocketgan.data.task import open_task
from pocketgan.interop.official import save_official
from pocketgan.models import load_model
from pocketgan.pipeline.teacher_file import TeacherFile
from tests.bad_input.conftest import files
from tests.conftest import TOY, TOY_STUDENT, Outcome, ToyRun, printed, rows_of

Cli = Callable[..., Outcome]


def test_what_a_run_leaves(toy_run: ToyRun):
    folder = toy_run.folder
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "report.html",
        "report.json",
        "model",
        "export",
        "stages",
        "recipe.json",
    }
    assert {path.name for path in (folder / "model").iterdir()} == {"model.json", "weights.safetensors"}
    assert {path.name for path in (folder / "export").iterdir()} == {
        f"{name}.onnx{card}" for name in ("teacher", "compressed") for card in ("", ".json")
    }
    assert not [path for path in folder.rglob("*") if ".part" in path.name], "nothing half-written"
    report = json.loads((folder / "report.json").read_text())
    rows = rows_of(folder)
    assert rows.keys() == {"teacher", "compressed"}
    for row in rows.values():
        assert {"params", "macs", "true_macs", "latency_ms", "scores", "digest"} <= row.keys()
        taught = {"teacher_l1", "teacher_ssim"} if row["name"] == "compressed" else set()
        assert row["scores"].keys() == {"fd_mobilenet_v2", "l1", "psnr", "ssim"} | taught
        assert row["latency_ms"] > 0
    assert rows["compressed"]["params"] < rows["teacher"]["params"]
    assert rows["compressed"]["macs"] <= report["budget_macs"] == 10**9
    assert report["task"]["counts"] == {"train": 7, "select": 2, "test": 3}
    page = (folder / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "mixed" in page


def test_the_model_and_the_export_of_a_run_agree(cli: Cli, toy_run: ToyRun):
    model = load_model(toy_run.folder / "model")
    x = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    session = onnxruntime.InferenceSession(toy_run.folder / "export" / "compressed.onnx")
    (y,) = session.run(None, {"image": x.numpy()})
    np.testing.assert_allclose(y, model.network(x).detach(), atol=1e-3)
    profile = json.loads(printed(cli("profile", toy_run.folder, "--json")))
    row = rows_of(toy_run.folder)["compressed"]
    assert all(profile[figure] == row[figure] for figure in ("params", "macs", "true_macs"))


def test_images_of_every_kind_of_colour_are_converted(toy_run: ToyRun, tmp_path: Path):
    """The run's data hold a gray, a palette, a transparent and a 16-bit image; all reach it as 8-bit RGB."""
    task = open_task(toy_run.data, size=24)
    seen = {}
    for split in ("train", "select", "test"):
        sources = load_examples(task, split, tmp_path, training=False).sources
        seen |= dict(zip(sources.names, sources.pixels, strict=True))
    folder = toy_run.data / "A"
    modes = {name: Image.open(folder / f"{name}.png").mode for name in seen}
    assert [modes[f"p0{number}"] for number in range(5)] == ["L", "P", "RGBA", "I;16", "RGB"]
    gray = np.asarray(Image.open(folder / "p00.png"))
    np.testing.assert_array_equal(seen["p00"], np.stack([gray] * 3, axis=2))
    np.testing.assert_array_equal(seen["p01"], np.asarray(Image.open(folder / "p01.png").convert("RGB")))
    half = np.asarray(Image.open(folder / "p02.png")).astype(float)
    on_white = half[..., :3] * 128 / 255 + 255 * (1 - 128 / 255)
    np.testing.assert_allclose(seen["p02"].astype(float), on_white, atol=1)
    deep = np.asarray(Image.open(folder / "p03.png")).astype(float) / 257
    np.testing.assert_allclose(seen["p03"].astype(float), np.stack([deep] * 3, axis=2), atol=0.51)


def test_a_finished_run_again(cli: Cli, toy_run: ToyRun):
    def artifacts() -> dict[str, bytes]:
        return {name: content for name, content in files(toy_run.folder).items() if not name.startswith("report.")}

    before = artifacts()
    times = {path: path.stat().st_mtime_ns for path in (toy_run.folder / "stages").rglob("*")}
    outcome = cli(*toy_run.words)
    text = printed(outcome)
    assert "missing" not in text
    assert "partial" not in text
    assert text.splitlines()[-1] == str(toy_run.folder / "report.html")
    assert artifacts() == before
    assert {path: path.stat().st_mtime_ns for path in (toy_run.folder / "stages").rglob("*")} == times


@pytest.mark.parametrize("metric", ["psnr", "ssim", "l1"])
def test_another_metric_takes_what_is_finished(
    cli: Cli, toy_run: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
):
    """On the same --out, which compress goes on with: trainings are done, and the search begins anew."""
    monkeypatch.setattr(
        "pocketgan.runs.run.estimate_seconds",
        lambda recipe, store, runtime: dict.fromkeys(recipe.all_stages, 0.0),
    )
    run = copytree(toy_run.folder, tmp_path / "run")
    words = (*toy_run.words[1:7], run, *TOY, "--set", f"metric={metric}")
    plan = json.loads(cli("plan", *words, "--json").out)
    statuses = {stage["stage"]: stage["status"] for stage in plan["stages"]}
    again = {name for name, status in statuses.items() if status != "finished"}
    assert {"teacher", "supernet", "scores of the teacher", "export of the teacher"}.isdisjoint(again)
    assert "search" in again
    started = []
    monkeypatch.setattr("pocketgan.runs.run.run_recipe", lambda recipe, *others: started.append(recipe) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli("compress", *words)
    assert {name: stage.digest for name, stage in started[0].all_stages.items()} == {
        stage["stage"]: stage["digest"] for stage in plan["stages"]
    }


def test_a_run_as_json(cli: Cli, toy_run: ToyRun):
    report = json.loads(printed(cli(*toy_run.words, "--json")))
    assert report == json.loads((toy_run.folder / "report.json").read_text())


def test_the_report_again(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    folder = copytree(toy_run.folder, tmp_path / "run")
    (folder / "report.html").unlink()
    (folder / "report.json").write_text("{}")
    assert printed(cli("report", folder)) == f"{folder / 'report.html'}\n"
    first, second = (json.loads((run / "report.json").read_text()) for run in (toy_run.folder, folder))
    assert [row["scores"] for row in first["rows"]] == [row["scores"] for row in second["rows"]]
    assert first["digest"] == second["digest"]
    assert (folder / "report.html").stat().st_size > 10_000


def test_a_teacher_that_is_brought_along(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    (trained,) = (toy_run.folder / "stages").glob("train-*/artifact/model")
    teacher, out = copytree(trained, tmp_path / "teacher"), tmp_path / "run"
    words = [*toy_run.words[:6], "--out", out, *TOY_STUDENT, "--teacher", teacher]
    outcome = cli(*words)
    assert outcome.code == 0, outcome.err
    assert not list((out / "stages").glob("train-*")), "no teacher is trained"
    kept = load_model(next((out / "stages").glob("teacher-file-*")) / "artifact" / "model").network.state_dict()
    for name, tensor in load_model(trained).network.state_dict().items():
        assert torch.equal(tensor, kept[name])
    assert rows_of(out)["teacher"]["scores"] == rows_of(toy_run.folder)["teacher"]["scores"]
    # the report needs the teacher's folder no more
    teacher.rename(tmp_path / "elsewhere")
    printed(cli("report", out))


def test_a_foreign_teacher_with_its_discriminator(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    """Both in the papers' own files; GAN Compression's narrower student inherits the discriminator."""
    (artifact,) = (toy_run.folder / "stages").glob("train-*/artifact")
    for part in ("model", "discriminator"):
        found = load_model(artifact / part)
        save_official(found.network, tmp_path / f"{part}.pth")
    out = tmp_path / "run"
    words = [*toy_run.words[:6], "--out", out, *TOY_STUDENT, "--method", "gan-compression", "--yes"]
    words += ["--teacher", tmp_path / "model.pth", "--discriminator", tmp_path / "discriminator.pth"]
    outcome = cli(*words, "--set", "predistillation.constant=1", "--set", "predistillation.decay=0")
    assert outcome.code == 0, outcome.err
    (given,) = (out / "stages").glob("teacher-file-*/artifact")
    for part in ("model", "discriminator"):
        kept = load_model(given / part).network.state_dict()
        wanted = load_model(artifact / part).network.state_dict()
        assert kept.keys() == wanted.keys()
        assert all(torch.equal(kept[name], tensor) for name, tensor in wanted.items())
    # the folder of a finished stage will do as well, and a run stands for its teacher
    both = TeacherFile.of(artifact)
    assert (both.generator, both.discriminator, both.direction) == (
        load_model(artifact / "model").spec,
        load_model(artifact / "discriminator").spec,
        "AtoB",
    )
    again = tmp_path / "again"
    outcome = cli(*toy_run.words[:6], "--out", again, *TOY_STUDENT, "--teacher", toy_run.folder)
    assert outcome.code == 0, outcome.err
    assert rows_of(again)["teacher"]["params"] == rows_of(toy_run.folder)["teacher"]["params"]
