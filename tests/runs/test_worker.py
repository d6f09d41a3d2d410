"""`pocketgan worker` helps with the search of a run, and says in one line where it cannot."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from pocketgan.cli.show import command_line
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.pipeline.search import Search
from pocketgan.runs.run import store_of
from tests.bad_input.conftest import refused, toy
from tests.conftest import Outcome, ToyRun, call_main
from tests.search.servers import free_port

Cli = Callable[..., Outcome]


@pytest.fixture
def unsearched(toy_run: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyRun:
    """A copy of the run without what its search has found."""
    nothing = lambda recipe, *_: dict.fromkeys(recipe.all_stages, 0.0)  # noqa: E731
    monkeypatch.setattr("pocketgan.runs.run.estimate_seconds", nothing)
    folder = copytree(toy_run.folder, tmp_path / "run")
    search = read_recipe(folder).search
    assert search
    rmtree(store_of(folder).home(search))
    words = tuple(str(folder) if word == str(toy_run.folder) else word for word in toy_run.words)
    return ToyRun(folder, toy_run.data, words)


@pytest.mark.parametrize("journal", [True, False])
def test_a_worker_scores_a_part_of_the_search(
    cli: Cli, toy_run: ToyRun, unsearched: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: bool
):
    """The run waits with its first candidate until the worker has taken the other one."""
    own, helped = Search._candidate, tmp_path / "helped"
    storage = ["--storage", f"journal:{tmp_path / 'journal'}"] if journal else []

    def waiting(self, supernet, genome, images):
        while not helped.exists():
            time.sleep(0.01)
        return own(self, supernet, genome, images)

    def telling(self, supernet, genome, images):
        helped.touch()
        return own(self, supernet, genome, images)

    leader = os.fork()
    if not leader:
        monkeypatch.setattr(Search, "_candidate", waiting)
        os._exit(call_main(*unsearched.words, *storage))
    monkeypatch.setattr(Search, "_candidate", telling)
    while (outcome := cli("worker", unsearched.folder, *storage)).code == 2:
        refused(outcome, "no search ", "is waiting in")
        time.sleep(0.05)
    assert os.waitpid(leader, 0)[1] == 0
    assert outcome == (0, "the search is over; candidates scored here: 1\n", "")
    wanted, found = (
        store_of(run.folder).artifact(read_recipe(run.folder).search) / "result.json"
        for run in (toy_run, unsearched)
    )
    assert found.read_bytes() == wanted.read_bytes()
    assert not (found.parents[1] / "state").exists()


def test_what_cannot_be_helped_with(cli: Cli, toy_run: ToyRun, unsearched: ToyRun, tmp_path: Path):
    refused(cli("worker", tmp_path / "nowhere"), "nowhere is no run folder")
    refused(cli("worker", toy_run.folder), "the search of", "is finished; there is nothing to help with")
    refused(cli("worker", unsearched.folder), "no search of that run is waiting in", "journal.log; begin it with")
    supernet = store_of(unsearched.folder).home(read_recipe(unsearched.folder)["supernet"])
    supernet.rename(tmp_path / "away")
    refused(cli("worker", unsearched.folder), "no search is waiting in", "its supernet is missing in")


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:hush@host/0",
        "journal:",
        "nowhere",
        "grpc://host",
        "grpc://me:hush@host:many",
        "postgresql://me:hush@host",
    ],
)
def test_a_storage_that_is_none(cli: Cli, pairs: Path, tmp_path: Path, url: str):
    outcome = cli(*toy(pairs, tmp_path / "out"), "--storage", url)
    refused(outcome, "--storage", "is no storage; write journal:PATH, postgresql://USER@HOST/DATABASE or grpc://")
    assert "hush" not in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["grpc://127.0.0.1:{}", "postgresql://me:hush@127.0.0.1:{}/base"])
def test_a_server_that_does_not_answer(cli: Cli, unsearched: ToyRun, monkeypatch: pytest.MonkeyPatch, kind: str):
    """The run says so before it does anything, the worker too."""
    pytest.importorskip(kind.partition(":")[0].replace("postgresql", "psycopg"))
    monkeypatch.setattr("pocketgan.search.storage.ANSWER", 1)
    url = kind.format(free_port())
    for words in (unsearched.words, ("worker", unsearched.folder)):
        outcome = cli(*words, "--storage", url, *(["--quiet"]))
        refused(outcome, "the storage", url.replace("me:hush@", ""), "does not answer (", "run the same command")
        assert "hush" not in outcome.err


@pytest.mark.parametrize("kind", ["grpc://host:1", "postgresql://me@host/base"])
def test_a_package_that_is_not_installed(
    cli: Cli, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    outcome = cli(*toy(pairs, tmp_path / "out"), "--storage", kind)
    refused(outcome, "needs a package", "pip install 'pocketgan[search]'")


def test_a_place_that_cannot_be_written(cli: Cli, unsearched: ToyRun, tmp_path: Path):
    url = f"journal:{tmp_path}/nowhere/journal"
    refused(cli(*unsearched.words, "--quiet", "--storage", url), "nowhere/journal cannot be written: No such file")


def test_a_worker_of_another_version_or_supernet(cli: Cli, unsearched: ToyRun, tmp_path: Path):
    url = f"journal:{tmp_path / 'journal'}"
    assert cli(*unsearched.words, "--quiet", "--storage", url).code == 0
    search = read_recipe(unsearched.folder).search
    store = store_of(unsearched.folder)
    rmtree(store.home(search))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pocketgan.search.storage.__version__", "0.0.1")
        refused(cli("worker", unsearched.folder, "--storage", url), "is of PocketGAN", "and this is 0.0.1; install")
    digests = store.home(search.supernet) / "digests.json"
    content = json.loads(digests.read_text())
    spoilt = store.home(search.supernet) / "artifact" / "model" / "model.json"
    spoilt.write_text(spoilt.read_text() + "\n")
    content["artifact/model/model.json"] = hashlib.sha256(spoilt.read_bytes()).hexdigest()
    digests.write_text(json.dumps(content))
    refused(cli("worker", unsearched.folder, "--storage", url), "is of another supernet than lies in this store")


def test_no_password_in_the_report(monkeypatch: pytest.MonkeyPatch):
    words = ["pocketgan", "run", "demo", "--storage", "postgresql://me:hush@host/base"]
    monkeypatch.setattr("sys.argv", words)
    assert command_line() == "pocketgan run demo --storage postgresql://me@host/base"
