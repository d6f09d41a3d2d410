"""Places that results cannot go to."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bad_input.conftest import Cli, files, refused, toy


def test_a_file_in_the_way(cli: Cli, pairs: Path, tmp_path: Path, no_estimate: None):
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "run", file / "runs" / "run"):
        refused(cli(*toy(pairs, out)), str(out), "a file stands where a folder should be; choose another --out")
    assert files(tmp_path) == {"file": b"mine"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
@pytest.mark.parametrize("place", ["/proc/run", "/proc/self/run", "/dev/null/run"])
def test_a_place_where_nobody_may_write(cli: Cli, pairs: Path, model: Path, no_estimate: None, place: str):
    refused(cli(*toy(pairs, Path(place))), f"{place} cannot be written", "choose another --out")
    refused(cli("translate", model, pairs / "A", "-o", place), f"{place} cannot be made", "choose another --out")
    refused(cli("export", model, "-o", f"{place}/m.onnx"), f"{place}", "choose another")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EACCES, "no permission to write there"), (errno.EROFS, "the file system is read-only")],
)
def test_a_place_without_permission(
    cli: Cli, pairs: Path, out: Path, no_estimate: None, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
):
    mkdir = Path.mkdir

    def forbidden(path: Path, *args: object, **options: object) -> None:
        if path == out:
            raise OSError(code, os.strerror(code), str(path))
        mkdir(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", forbidden)
    refused(cli(*toy(pairs, out)), f"{out} cannot be written: {reason}; choose another --out")


def test_a_foreign_folder_is_left_alone(cli: Cli, pairs: Path, tmp_path: Path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.txt").write_text("In the beginning")
    refused(cli(*toy(pairs, folder)), f"{folder} is not empty and no run of PocketGAN; choose another --out")
    assert files(tmp_path) == {"thesis/chapter1.txt": b"In the beginning"}


def test_the_folder_of_another_recipe(cli: Cli, toy_run, tmp_path: Path):
    before = files(toy_run.folder)
    refused(
        cli(*toy_run.words, "--set", "seed=1"),
        f"{toy_run.folder} belongs to another recipe (mixed, ",
        "; this one is mixed, ",
        "); choose another --out or remove it",
    )
    assert files(toy_run.folder) == before


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"digest": 1}'])
def test_a_run_folder_with_a_damaged_mark(cli: Cli, pairs: Path, tmp_path: Path, content: str):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.json").write_text(content)
    refused(cli(*toy(pairs, folder)), "recipe.json is damaged; remove it and run the same command again")
    refused(cli("report", folder), "recipe.json is damaged")
    assert [path.name for path in folder.iterdir()] == ["recipe.json"]


def test_a_second_run_on_the_same_folder(cli: Cli, toy_run):
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    words = [sys.executable, "-c", code, str(toy_run.folder / ".lock")]
    before = files(toy_run.folder)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        refused(cli(*toy_run.words), f"{toy_run.folder} is in use by a run that is going on; wait for it or choose")
        refused(cli("report", toy_run.folder), "is in use by a run that is going on")
        other.communicate(b"\n")
    assert files(toy_run.folder) == before


def test_an_empty_folder_stays_empty(cli: Cli, data: Path, tmp_path: Path, no_estimate: None):
    folder = tmp_path / "mine"
    folder.mkdir()
    (data / "B" / "p00.png").write_bytes((data / "B" / "p00.png").read_bytes()[:100])
    assert cli(*toy(data, folder)).code == 2
    assert list(folder.iterdir()) == []


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "place",
    [
        "pocketgan.models.save",
        "pocketgan.pipeline.training.save_model",
        "pocketgan.training.fit.Log.write",
        "pocketgan.data.cache.resize",
        "pocketgan.pipeline.owner._mark",
    ],
)
def test_a_full_disk(
    cli: Cli, pairs: Path, out: Path, no_estimate: None, monkeypatch: pytest.MonkeyPatch, place: str
):
    monkeypatch.setattr(place, full_disk)
    outcome = cli(*toy(pairs, out))
    last = outcome.err.splitlines()[-1]
    refused(
        outcome._replace(err=last), str(out), "o space left on device" if "cache" in place else "the disk is full"
    )


def test_a_disk_that_is_full_when_the_report_is_written(cli: Cli, toy_run, monkeypatch: pytest.MonkeyPatch):
    before = files(toy_run.folder / "stages")
    monkeypatch.setattr("pocketgan.runs.run.write_report", full_disk)
    refused(cli("report", toy_run.folder), f"{toy_run.folder} cannot be written: the disk is full; free some space")
    assert files(toy_run.folder / "stages") == before


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Real writes fail beyond this many bytes of a file, as on a full disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("size", [20_000, 33_000])
def test_writes_that_really_fail(cli: Cli, pairs: Path, out: Path, no_estimate: None, size: int):
    """The first limit lies below the decoded images (30 kB), the second below the teacher (36 kB)."""
    with largest_file(size):
        outcome = cli(*toy(pairs, out))
    last = outcome.err.splitlines()[-1]
    refused(outcome._replace(err=last), str(out), "choose another")


def test_real_writes_of_other_verbs_that_fail(cli: Cli, model: Path, pairs: Path, tmp_path: Path):
    with largest_file(1000):
        refused(cli("export", model, "-o", tmp_path / "m.onnx"), "m.onnx", "File too large", "choose another")
        refused(cli("translate", model, pairs / "A", "-o", tmp_path / "made"), "made/p00.png", "choose another")
    assert files(tmp_path) == {}
