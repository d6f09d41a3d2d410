"""The store: artifacts appear whole or not at all; a run folder belongs to one recipe."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from pocketgan.errors import OutputError
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.store import Owner, Store, claim, writing
from pocketgan.runtime import Runtime

RUNTIME = Runtime(device="cpu")


class Note(Stage):
    """Writes what its inputs wrote and its own text, in two steps, the first of which it remembers."""

    kind: Literal["note"] = "note"
    text: str
    after: Note | None = None
    besides: Note | None = None

    ran: ClassVar[list[str]] = []
    broken: ClassVar[set[str]] = set()

    def run(self, work: Workspace) -> None:
        self.ran.append(self.text)
        assert not any(work.artifact.iterdir())
        before = "".join((work.inputs(stage) / "text").read_text() for stage in self.inputs())
        first = work.folder / "state" / "first"
        if not first.exists():
            first.parent.mkdir()
            first.write_text(before)
            self.ran.append("first step")
        work.progress(1, 2)
        (work.artifact / "half").touch()
        if self.text in self.broken:
            raise KeyboardInterrupt
        (work.artifact / "text").write_text(first.read_text() + self.text)
        work.progress(2, 2)


@pytest.fixture(autouse=True)
def _forget():
    Note.ran.clear()
    Note.broken.clear()


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "stages")


def test_inputs_come_first_and_each_once(store):
    a = Note(text="a")
    b, c = Note(text="b", after=a), Note(text="c", after=a)
    d = Note(text="d", after=b, besides=c)
    artifact = store.realise(d, RUNTIME)
    assert (artifact / "text").read_text() == "abacd"
    assert [text for text in Note.ran if text != "first step"] == ["a", "b", "c", "d"]
    assert artifact == store.artifact(d) == store.folder / d.address / "artifact"


def test_what_is_finished_is_not_run_again(store):
    a = Note(text="a")
    b = Note(text="b", after=a)
    store.realise(b, RUNTIME)
    Note.ran.clear()
    assert store.realise(Note(text="b", after=Note(text="a")), RUNTIME) == store.artifact(b)
    assert Note.ran == []


def test_an_artifact_appears_whole_or_not_at_all(store):
    note = Note(text="a")
    Note.broken.add("a")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            store.realise(note, RUNTIME)
        assert not store.artifact(note).exists()
    Note.broken.clear()
    store.realise(note, RUNTIME)
    assert sorted(path.name for path in store.artifact(note).iterdir()) == ["half", "text"]
    assert Note.ran == ["a", "first step", "a", "a"], "the first step is remembered"


def test_status_and_what_lies_in_the_folder(store):
    note = Note(text="a")
    assert store.status(note) == "missing"
    Note.broken.add("a")
    with pytest.raises(KeyboardInterrupt):
        store.realise(note, RUNTIME)
    assert store.status(note) == "partial"
    assert (store.home(note) / "state").is_dir()
    Note.broken.clear()
    store.realise(note, RUNTIME)
    assert store.status(note) == "finished"
    assert sorted(path.name for path in store.home(note).iterdir()) == ["artifact", "seconds.json", "stage.json"]
    assert Note.model_validate_json((store.home(note) / "stage.json").read_text()) == note


def test_a_failure_keeps_what_was_finished_before_it(store):
    a = Note(text="a")
    b = Note(text="b", after=a)
    Note.broken.add("b")
    with pytest.raises(KeyboardInterrupt):
        store.realise(b, RUNTIME)
    assert (store.status(a), store.status(b)) == ("finished", "partial")


def test_progress(store):
    a = Note(text="a")
    b = Note(text="b", after=a)
    seen = []
    store.realise(b, RUNTIME, lambda stage, done, total: seen.append((stage.text, done, total)))
    assert seen == [("a", 1, 2), ("a", 2, 2), ("b", 1, 2), ("b", 2, 2)]


def test_seconds_of_all_sessions(store, monkeypatch):
    """Each session takes one second by this clock."""
    times = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: float(next(times)))
    note = Note(text="a")
    assert store.seconds(note) == 0
    Note.broken.add("a")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            store.realise(note, RUNTIME)
    Note.broken.clear()
    store.realise(note, RUNTIME)
    assert store.seconds(note) == 3


# -- errors of the file system -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full; free some space and run the same command again"),
        (errno.EDQUOT, "the disk quota is used up; free some space and run the same command again"),
        (errno.EACCES, "no permission to write there; choose another --out"),
        (errno.EROFS, "the file system is read-only; choose another --out"),
        (errno.ENOTDIR, "a file stands where a folder should be; choose another --out"),
        (errno.EEXIST, "a file stands where a folder should be; choose another --out"),
    ],
    ids=errno.errorcode.get,
)
def test_what_keeps_a_folder_from_being_written(number, reason):
    with pytest.raises(OutputError) as error, writing(Path("runs/out")):
        raise OSError(number, os.strerror(number))
    assert str(error.value) == f"runs/out cannot be written: {reason}"


def test_other_errors_pass():
    with pytest.raises(OSError, match="Input/output") as error, writing(Path("runs/out")):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert type(error.value) is OSError
    with pytest.raises(ValueError, match="mine"), writing(Path("runs/out")):
        raise ValueError("mine")


def test_a_full_disk_within_a_stage(store, monkeypatch):
    def full(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    note = Note(text="a")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError) as error:
        store.realise(note, RUNTIME)
    assert str(error.value) == (
        f"{store.home(note)} cannot be written: the disk is full; free some space and run the same command again"
    )


# -- whose folder it is ------------------------------------------------------------------------------------------

MINE = Owner("mine", "1" * 64, {"data": "images", "recipe": {}})
OTHER = Owner("other", "2" * 64, {"data": "images", "recipe": {}})


def refusal(folder: Path, owner: Owner = MINE) -> str:
    with pytest.raises(OutputError) as error, claim(folder, owner):
        pytest.fail("the folder was claimed")
    return str(error.value)


def test_a_new_folder_and_the_same_again(tmp_path):
    folder = tmp_path / "runs" / "out"
    for _ in range(2):
        with claim(folder, MINE):
            (folder / "stages" / "note" / "artifact").mkdir(parents=True, exist_ok=True)


def test_a_folder_of_another_recipe(tmp_path):
    with claim(tmp_path / "out", OTHER):
        pass
    assert refusal(tmp_path / "out") == (
        f"{tmp_path / 'out'} belongs to another recipe (other, 222222222222; this one is mine, 111111111111); "
        "choose another --out or remove it"
    )


def test_a_folder_of_somebody_else(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert refusal(tmp_path) == f"{tmp_path} is not empty and no run of PocketGAN; choose another --out"
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["thesis.txt"]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "out").write_text("mine")
    reason = "cannot be written: a file stands where a folder should be; choose another --out"
    assert refusal(tmp_path / "out") == f"{tmp_path / 'out'} {reason}"
    assert refusal(tmp_path / "out" / "below") == f"{tmp_path / 'out' / 'below'} {reason}"


def test_a_folder_in_use(tmp_path):
    with claim(tmp_path, MINE):
        assert refusal(tmp_path) == (
            f"{tmp_path} is in use by a run that is going on; wait for it or choose another --out"
        )
    with claim(tmp_path, MINE):
        pass


def test_a_claim_that_was_killed_at_birth(tmp_path):
    """Between writing whose it is and renaming that."""
    (tmp_path / ".lock").touch()
    (tmp_path / "recipe.part").write_text('{"name": "mi')
    with claim(tmp_path, MINE):
        assert (tmp_path / "recipe.json").exists()


def test_what_others_put_into_a_run_folder_stays(tmp_path):
    folder = tmp_path / "out"

    def fail() -> None:
        with claim(folder, MINE):
            (folder / "notes").mkdir()
            (folder / "notes" / "thesis.txt").write_text("years of work")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert sorted(path.name for path in folder.iterdir()) == ["notes"]
    assert (folder / "notes" / "thesis.txt").read_text() == "years of work"
