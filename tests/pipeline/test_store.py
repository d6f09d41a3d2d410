"""The store: artifacts appear whole or not at all; a run folder belongs to one recipe."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import torch

from pocketgan.errors import OutOfMemory, OutputError
from pocketgan.files import replacing
from pocketgan.pipeline.owner import Owner, claim
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.store import Store, alone, writing
from pocketgan.pipeline.upkeep import kept, prune
from pocketgan.runtime import Runtime
from pocketgan.training.log import read_log

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
        (work.folder / "log.jsonl").write_text('{"step": 1}\n')
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
    names = {"artifact", "digests.json", "log.jsonl", "seconds.json", "stage.json"}
    assert {path.name for path in store.home(note).iterdir()} - {".lock"} == names
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


# -- damage -------------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = path.read_bytes()
    at = 30 % len(content)  # of a manifest, in the digest of the first file
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["artifact/text", "digests.json"])
def test_a_damaged_artifact_is_named_and_made_again(store, damage, name, caplog):
    a = Note(text="a")
    b = Note(text="b", after=a)
    store.realise(b, RUNTIME)
    file = store.home(a) / name
    Note.ran.clear()
    damage(file)
    if (name, damage) == ("digests.json", Path.unlink):  # as earlier versions left it: nothing is known of it
        assert store.status(a) == "finished"
        return
    assert (store.status(a), store.status(b)) == ("damaged", "finished")
    store.realise(a, RUNTIME)
    assert store.status(a) == "finished"
    assert (store.artifact(a) / "text").read_text() == "a"
    assert Note.ran == ["a", "first step"]
    (told,) = caplog.messages
    assert told.startswith(f"note: {store.home(a)} is damaged (")
    assert told.endswith(") and made again")
    assert name in told or name == "digests.json"


@pytest.mark.parametrize("damage", [flip, cut])
def test_what_lies_beside_an_artifact_is_left_out_where_damaged(store, damage, caplog):
    note = Note(text="a")
    store.realise(note, RUNTIME)
    for name in ("log.jsonl", "seconds.json", "stage.json"):
        damage(store.home(note) / name)
    assert store.status(note) == "finished"
    assert (store.seconds(note), read_log(store.beside(note, "log.jsonl"))) == (0, [])
    seconds, log = (store.home(note) / name for name in ("seconds.json", "log.jsonl"))
    assert caplog.messages == [
        f"note: {path} is damaged and left out; no result depends on it" for path in (seconds, log)
    ]
    removed, freed = prune(store, None)
    assert removed == [f"{note.address}/{name}" for name in ("log.jsonl", "seconds.json", "stage.json")]
    assert freed > 0
    assert kept(store)[0].damaged == ()


def test_what_is_pruned(store):
    wanted, other, partial, broken = (Note(text=text) for text in "wopb")
    for note in (wanted, other, broken):
        store.realise(note, RUNTIME)
    flip(store.artifact(broken) / "text")
    Note.broken.add("p")
    with pytest.raises(KeyboardInterrupt):
        store.realise(partial, RUNTIME)
    (store.home(partial) / ".1234.part").mkdir()
    store.cache.mkdir()
    (store.cache / "train.npy").write_bytes(b"x" * 99)
    assert {each.address: (each.status, each.damaged) for each in kept(store)} == {
        wanted.address: ("finished", ()),
        other.address: ("finished", ()),
        partial.address: ("partial", ()),
        broken.address: ("damaged", ("artifact/text",)),
    }
    with alone(store.home(broken)), pytest.raises(OutputError, match="is being made by a run that is going on"):
        prune(store, None)
    removed = {f"{broken.address}/artifact", f"{partial.address}/.1234.part", "cache/train.npy"}
    assert set(prune(store, None)[0]) == removed
    assert [store.status(each) for each in (wanted, other, partial, broken)] == [
        "finished",
        "finished",
        "partial",
        "missing",
    ]
    prune(store, {wanted.address})
    assert [each.address for each in kept(store)] == [wanted.address]


# -- two processes ------------------------------------------------------------------------------------------------

#: holds the lock of a stage, says so, and waits for a line
HOLDER = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"


@pytest.mark.parametrize("dies", [False, True])
def test_who_makes_a_stage_is_waited_for_unless_it_dies(store, dies, caplog):
    note, held, patience = Note(text="a"), threading.Event(), time.monotonic() + 60
    store.home(note).mkdir(parents=True)
    words = [sys.executable, "-c", HOLDER, str(store.home(note) / ".lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()

        def end() -> None:
            while not caplog.messages and time.monotonic() < patience:
                time.sleep(0.01)
            held.set()
            other.kill() if dies else other.communicate(b"\n")

        ending = threading.Thread(target=end)
        ending.start()
        store.realise(note, RUNTIME)
        ending.join()
    assert held.is_set()
    assert caplog.messages == [f"note: {store.home(note)} is being made by another run; this one waits for it"]
    assert store.status(note) == "finished"


def test_what_another_process_made_meanwhile_is_taken(store, monkeypatch):
    note = Note(text="a")

    @contextmanager
    def slow(home: Path) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr("pocketgan.pipeline.store.alone", alone)
            Store(store.folder).realise(note, RUNTIME)
        yield

    monkeypatch.setattr("pocketgan.pipeline.store.alone", slow)
    store.realise(note, RUNTIME)
    assert Note.ran == ["a", "first step"]


# -- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_too_little_memory(store, error, monkeypatch):
    def run(self, work):
        raise error

    note = Note(text="a")
    monkeypatch.setattr(Note, "run", run)
    with pytest.raises(OutOfMemory) as told:
        store.realise(note, RUNTIME)
    remedy = "choose a smaller --size or network"
    assert str(told.value) == f"{note.address} needs more memory than there is; {remedy}"
    assert store.status(note) == "missing"


# -- errors of the file system -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EIO, "the disk reports an error; see to it, or choose another --out"),
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
    with pytest.raises(OSError, match="Broken pipe") as error, writing(Path("runs/out")):
        raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
    assert type(error.value) is BrokenPipeError
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


def test_the_folder_of_a_recipe_whose_images_changed(tmp_path):
    def owner(digest: str) -> Owner:
        recipe = {"name": "mine", "stages": {"teacher": digest}, "task": {"size": 16, "data_digest": digest}}
        return Owner("mine", digest * 64, {"data": "images", "recipe": recipe})

    with claim(tmp_path / "out", owner("1")):
        pass
    assert refusal(tmp_path / "out", owner("2")) == (
        f"{tmp_path / 'out'} was begun with other images than are in images now; put those back, "
        "choose another --out or remove it"
    )


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


def test_results_of_stages_that_are_kept_elsewhere_stay(tmp_path):
    """A run whose store is elsewhere, stopped when it had written its exports, goes on in its folder."""

    def stopped() -> None:
        with claim(tmp_path / "out", MINE):
            (tmp_path / "out" / "export").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with claim(tmp_path / "out", MINE):
        assert (tmp_path / "out" / "export").is_dir()


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


def test_what_killed_writers_of_a_shared_file_left_goes(tmp_path: Path):
    """What a living one writes at the same time stays."""
    left = "import os, sys; from pathlib import Path; from pocketgan.files import replacing\n"
    left += "with replacing(Path(sys.argv[1]), shared=True) as part: part.write_text('half'); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", left, str(tmp_path / "file")]).returncode == 9
    (half,) = tmp_path.iterdir()
    living = half.with_name(re.sub(r"-\d+\.part$", f"-{os.getppid()}.part", half.name))
    living.write_text("half")
    with replacing(tmp_path / "file", shared=True) as part:
        part.write_text("whole")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "whole", living.name: "half"}
