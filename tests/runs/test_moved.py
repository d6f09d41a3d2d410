"""A run folder on another machine: at another path, with its images elsewhere, on other hardware."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pocketgan.catalog.catalog import ENTRIES, recipe_of
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.pipeline.store import Store
from pocketgan.runs.run import store_of
from tests.conftest import TOY, Outcome, ToyRun

Cli = Callable[..., Outcome]


@pytest.fixture
def moved(toy_run: ToyRun, tmp_path: Path) -> tuple[Path, Path]:
    """The toy run and its images, each at another place; what the run says of its images is no longer true."""
    run = shutil.copytree(toy_run.folder, tmp_path / "run")
    data = shutil.copytree(toy_run.data, tmp_path / "images")
    mark = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps({**mark, "data": str(tmp_path / "gone")}))
    return run, data


def test_it_reports_and_picks_where_its_images_are_now(cli: Cli, moved: tuple[Path, Path], tmp_path: Path):
    run, data = moved
    refused = cli("report", run)
    assert refused.code == 2
    assert refused.err == (
        f"pocketgan: the images of {run} are no longer in {tmp_path / 'gone'}; put them back, or name their folder "
        "with --data\n"
    )
    (run / "report.html").unlink()
    assert cli("report", run, "--data", data).code == 0
    assert (run / "report.html").stat().st_size > 10_000
    assert read_recipe(run).task.root == data.resolve(), "it knows from now on"
    assert cli("pick", run, "--budget", "1G", "--out", tmp_path / "small").code == 0


def test_an_unfinished_run_goes_on(cli: Cli, moved: tuple[Path, Path], toy_run: ToyRun):
    """What is finished is taken as it is, and the rest becomes what it was."""
    run, data = moved
    wanted = {path.parts[-4:]: path.read_bytes() for path in (toy_run.folder / "stages").rglob("artifact/model/*")}
    for kind in ("distil", "search", "pick"):
        (folder,) = (run / "stages").glob(f"{kind}-*")
        shutil.rmtree(folder)
    ended = cli("compress", data, "--budget", "1G", "--size", "24", "--out", run, *TOY)
    assert ended.code == 0, ended.err
    assert "teacher: " not in ended.err, "it is not trained again"
    assert {path.parts[-4:]: path.read_bytes() for path in (run / "stages").rglob("artifact/model/*")} == wanted


@pytest.mark.parametrize("bf16", [False, True])
def test_a_recipe_does_not_look_at_the_machine(monkeypatch: pytest.MonkeyPatch, bf16: bool):
    """The demo is the same recipe with and without hardware for bf16, or a GPU."""
    entry = ENTRIES["demo"]
    here = recipe_of(entry, entry.settings(), None, None, None).digest
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bf16)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: bf16)
    assert recipe_of(entry, entry.settings(), None, None, None).digest == here


def test_a_run_in_bf16_goes_on_without_hardware_for_it(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    """PyTorch computes in it anywhere; the precision stands in the recipe by name."""
    run = tmp_path / "run"
    words = ("compress", toy_run.data, "--budget", "1G", "--size", "24", "--out", run, *TOY[:-2])
    assert cli(*words, "--precision", "bf16").code == 0
    shutil.move(run, tmp_path / "elsewhere")
    recipe = read_recipe(tmp_path / "elsewhere")
    assert recipe["teacher"].precision == recipe["supernet"].precision == "bf16"
    again = cli("report", tmp_path / "elsewhere")
    assert again.code == 0
    store: Store = store_of(tmp_path / "elsewhere")
    assert all(store.status(stage) == "finished" for stage in recipe.all_stages.values())
