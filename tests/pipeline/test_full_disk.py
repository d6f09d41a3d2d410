"""A disk fills up under every kind of stage, and SIGTERM comes: one line each time, and then the run goes on."""

import importlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgan.cli import carry_through
from pocketgan.data.task import open_task
from pocketgan.errors import OutputError
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.store import Store

with pytest.MonkeyPatch.context() as _patch:  # the benchmarks import each other by their bare names
    _patch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    chaos = importlib.import_module("chaos")

#: those that give no sign of progress, and the others
SILENT = ["pick", "export", "teacher-of", "sort-channels", "teacher-file", "latency-model"]
KINDS = [
    "train",
    "distil",
    "search",
    "evaluate",
    "online-distil",
    "in-place",
    "from-scratch",
    "front-latency",
    *SILENT,
]
BLOCK = 4096


class Whole(dict[str, Stage]):
    """Stages by kind, all finished in `store`."""

    store: Store


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    home = tmp_path_factory.mktemp("whole")
    task = open_task(chaos.draw_pairs(home / "pairs"), size=16)
    store = Store(home / "store")
    teacher = chaos.stages(task, None, True)["teacher"]
    given = shutil.copytree(store.realise(teacher, chaos.RUNTIME) / "model", home / "given")
    every = chaos.stages(task, given, False)
    chaos.carried_out(every, store)
    found = Whole({stage.kind: stage for stage in reversed(every.values())})
    found.store = store
    assert found.keys() == set(KINDS)
    return found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no file system may be mounted here ({made.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def without(whole: Whole, kind: str, place: Path) -> Store:
    """A copy of the store in which the stage of a kind is missing."""
    home = whole.store.home(whole[kind])
    left_out = shutil.ignore_patterns(home.name)
    return Store(shutil.copytree(whole.store.folder, place / "store", ignore=left_out, dirs_exist_ok=True))


def fill(disk: Path, room: int) -> Path:
    """A file that leaves so many bytes of the disk."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * BLOCK
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(BLOCK, free - room))
    return ballast


def same(whole: Whole, store: Store, kind: str) -> bool:
    stage = {kind: whole[kind]}
    return chaos.artifacts(stage, store) == chaos.artifacts(stage, whole.store)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk(whole: Whole, disk: Path, kind: str):
    stage, store = whole[kind], without(whole, kind, disk)
    home = store.home(stage)
    need = sum(-(-path.stat().st_size // BLOCK) for path in whole.store.home(stage).rglob("*") if path.is_file())
    for room in (0, need // 2):
        ballast = fill(disk, room * BLOCK)
        with pytest.raises(
            OutputError, match=rf"{home}.*(the disk is full; free some space|No space left on device)"
        ):
            store.realise(stage, chaos.RUNTIME)
        assert store.status(stage) in ("partial", "missing")
        assert not list(home.glob("**/.*.part"))
        ballast.unlink()
    store.realise(stage, chaos.RUNTIME)
    assert same(whole, store, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_sigterm_in_the_middle(whole: Whole, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]):
    """At the first sign of progress; a stage that gives none is stopped at its first write."""
    stage, store, sent = whole[kind], without(whole, kind, tmp_path), []

    def terminate(*_: object) -> None:
        if not sent:
            sent.append(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        mkdir = Path.mkdir
        if kind in SILENT:
            patch.setattr(Path, "mkdir", lambda path, *args, **kwargs: (mkdir(path, *args, **kwargs), terminate()))
        with pytest.raises(SystemExit) as end:
            carry_through(lambda: store.realise(stage, chaos.RUNTIME, terminate))
    signal.signal(signal.SIGTERM, handler)
    assert (end.value.code, sent) == (143, [signal.SIGTERM])
    assert capsys.readouterr().err == "pocketgan: stopped; run the same command again to go on from here\n"
    assert store.status(stage) in ("partial", "missing")
    store.realise(stage, chaos.RUNTIME)
    assert same(whole, store, kind)
