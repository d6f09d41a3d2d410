"""In every kind of stage the disk fills up, and SIGTERM comes: one line each time, and then the run goes on."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from pocketgan.cli import carry_through
from pocketgan.errors import DataError, OutputError
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.upkeep import kept
from pocketgan.runs.run import store_of
from pocketgan.runtime import Runtime
from tests.bad_input.conftest import files, refused
from tests.bad_input.test_places import largest_file
from tests.conftest import Outcome, ToyRun

Cli = Callable[..., Outcome]
KINDS = ("train", "distil", "search", "pick", "evaluate", "export")


@pytest.fixture
def unfinished(toy_run: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyRun:
    """A copy of the run, to be spoilt; nothing is measured beforehand."""
    nothing = lambda recipe, *_: dict.fromkeys(recipe.all_stages, 0.0)  # noqa: E731
    monkeypatch.setattr("pocketgan.runs.run.estimate_seconds", nothing)
    folder = copytree(toy_run.folder, tmp_path / "run")
    words = tuple(str(folder) if word == str(toy_run.folder) else word for word in toy_run.words)
    return ToyRun(folder, toy_run.data, words)


@contextmanager
def at_work(kind: str, spoil: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """`spoil` gets the work of the first stage of a kind, to do it its own way."""
    own = {each.model_fields["kind"].default: each for each in _kinds(Stage)}[kind]
    run, met = own.run, []

    def spoilt(stage: Any, work: Workspace) -> None:
        met.append(stage)
        spoil(lambda: run(stage, work))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "run", spoilt)
        yield
    assert met, f"no stage of kind {kind} ran"


def _kinds(base: type[Stage]) -> Iterator[type[Stage]]:
    for each in base.__subclasses__():
        if "kind" in each.model_fields:
            yield each
        yield from _kinds(each)


def full(run: Callable[[], None]) -> None:
    """Real writes fail beyond two bytes of a file."""
    with largest_file(2):
        run()


def terminated(run: Callable[[], None]) -> None:
    signal.raise_signal(signal.SIGTERM)  # in this thread: the process may have others, of other tests
    run()


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_and_sigterm(cli: Cli, toy_run: ToyRun, unfinished: ToyRun, kind: str):
    store, wanted = store_of(unfinished.folder), files(toy_run.folder / "stages")
    stage = next(each for each in read_recipe(unfinished.folder).all_stages.values() if each.kind == kind)
    home = store.home(stage)
    (home / "artifact").rename(unfinished.folder / "away")
    for spoil, code, parts in (
        (full, 2, (str(home), "choose another")),
        (terminated, 143, ("stopped; run the same command again to go on from here",)),
    ):
        with at_work(kind, spoil):
            outcome = cli(*unfinished.words)
        refused(outcome._replace(err=outcome.err.splitlines()[-1]), *parts, code=code)
        assert store.status(stage) in ("partial", "missing")
        assert not list(home.glob(".*.part"))
    store.realise(stage, Runtime(device="cpu"))
    found = files(unfinished.folder / "stages")
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if "/artifact/" in name and found[name] != wanted[name]] == []
    assert not any(each.damaged for each in kept(store))


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("the model is damaged"), 143, "stopped; run the same command again to go on from here"),
        (RuntimeError("from C++"), 143, "stopped; run the same command again to go on from here"),
        (OutputError("the disk is full; make room"), 2, "the disk is full; make room"),
    ],
)
def test_a_stop_that_others_turn_into_an_error(error: Exception, code: int, line: str, capsys):
    """Where SIGTERM finds a process in code that is not ours. What could not be written is told all the same."""

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise error from None

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        carry_through(work)
    signal.signal(signal.SIGTERM, before)
    assert (end.value.code, capsys.readouterr().err) == (code, f"pocketgan: {line}\n")
