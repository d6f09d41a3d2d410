"""Runs that keep their stages in one store, and the verb that looks after it."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from pocketgan.pipeline.recipe import read_recipe
from pocketgan.runs.run import store_of
from tests.bad_input.conftest import refused
from tests.conftest import Outcome, ToyRun

Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def shared(toy_run: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stages of the finished run, as a store by itself, with one more that no run needs."""
    home = tmp_path_factory.mktemp("shared")
    copytree(toy_run.folder / "stages", home / "store")
    (home / "store" / "train-000000000000" / "state").mkdir(parents=True)
    return home


def test_two_runs_share_their_stages(cli: Cli, toy_run: ToyRun, shared: Path):
    """A run elsewhere finds all that another one left, and remembers where."""
    store, out = shared / "store", shared / "out"
    words = [str(out) if word == str(toy_run.folder) else word for word in toy_run.words]
    plan = json.loads(cli("plan", *words[1:], "--store", store, "--json").out)
    assert {stage["status"] for stage in plan["stages"]} == {"finished"}
    ended = cli(*words, "--store", store)
    assert ended.code == 0, ended.err
    assert not (out / "stages").exists()
    assert store_of(out).folder == store
    assert cli("report", out).code == 0, "it is named in the run folder"
    rows = [json.loads((folder / "report.json").read_text())["rows"] for folder in (out, toy_run.folder)]
    one, other = ([(row["digest"], row["scores"]) for row in own] for own in rows)
    assert one == other

    refused(cli("store", "prune", out), f"the store of {out} may serve other runs; prune {store} with --keep {out}")
    refused(cli("store", "prune", store, "--keep", toy_run.folder), "does not keep its stages in", "leave it out")
    pruned = json.loads(cli("store", "prune", store, "--keep", out, "--json").out)
    assert pruned["removed"] == ["train-000000000000"]
    assert {stage.address for stage in read_recipe(out).every_stage()} == {
        stage["address"] for stage in json.loads(cli("store", "list", store, "--json").out)
    }
    store.rename(shared / "elsewhere")
    refused(cli("report", out), f"the store of {out} is no longer in {store}; put it back, or name it with --store")
    (shared / "elsewhere").rename(store)


def test_damage_is_named_and_mended(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    run = copytree(toy_run.folder, tmp_path / "run")
    assert cli("store", "check", run).out.endswith(" stages, every file as it was\n")
    assert cli("store", "list", run).code == 0
    (weights,) = run.glob("stages/pick-*/artifact/model/weights.safetensors")
    (picture, *_) = run.glob("stages/train-*/samples/*.png")
    (cached, *_) = run.glob("stages/cache/*.npy")
    whole = weights.read_bytes()
    for file in (weights, picture, cached):
        content = bytearray(file.read_bytes())
        content[-40] ^= 1
        file.write_bytes(content)
    found = cli("store", "check", run)
    assert (found.code, found.out) == (1, f"{weights} is damaged\n{picture} is damaged\n{cached} is damaged\n")
    refused(cli("report", run), "is not finished (subnet damaged left); run its command again to go on with it")
    assert cli(*[str(run) if word == str(toy_run.folder) else word for word in toy_run.words]).code == 0
    assert weights.read_bytes() == whole
    pruned = cli("store", "prune", run)
    assert pruned.out.splitlines()[:-1] == [picture.relative_to(run / "stages").as_posix()]
    assert cli("store", "check", run, "--json").out == "[]\n"


def test_what_is_no_store(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    refused(
        cli("store", "list", tmp_path), f"{tmp_path} holds no stages; give a run folder, or a folder that --store"
    )
    refused(cli("store", "list", toy_run.folder, "--keep", toy_run.folder), "--keep is for prune, and this is list")
