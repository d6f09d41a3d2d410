"""Downloads from a server on this machine: whole, interrupted, wrong, refused."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pocketgan import download
from pocketgan.download import fetch
from pocketgan.errors import DataError, OutputError

from .webserver import Server, running

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


@pytest.fixture
def server() -> Iterator[Server]:
    with running({"file": CONTENT}) as server:
        yield server


def left(folder: Path) -> set[str]:
    """What lies in a folder, locks aside."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    target = tmp_path / "deep" / "file"
    assert (
        fetch(server.url(), target, sha256=SHA256, size=len(CONTENT), progress=lambda *now: seen.append(now))
        == target
    )
    assert target.read_bytes() == CONTENT
    assert left(target.parent) == {"file"}
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    fetch(server.url(), target, sha256=SHA256.upper())
    assert len(server.asked) == 1


def test_the_beginning_of_a_checksum_is_enough(server: Server, tmp_path: Path):
    assert fetch(server.url("moved"), tmp_path / "file", sha256=SHA256[:8]).read_bytes() == CONTENT
    for short in (SHA256[:7], "g" * 64, ""):
        with pytest.raises(ValueError, match="eight"):
            fetch(server.url(), tmp_path / "other", sha256=short)


def test_a_dropped_connection_is_taken_up_where_it_was(server: Server, tmp_path: Path):
    server.drops = 2
    fetch(server.url(), tmp_path / "file", sha256=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT
    quarter = HALF + HALF // 2
    assert server.asked == [("/file", None), ("/file", f"bytes={HALF}-"), ("/file", f"bytes={quarter}-")]


def test_an_interrupted_download_is_continued_by_the_next_call(server: Server, tmp_path: Path):
    server.drops = 99
    with pytest.raises(DataError) as stopped:
        fetch(server.url(), tmp_path / "file", sha256=SHA256)
    assert str(stopped.value) == (
        f"file cannot be downloaded: the connection broke off 5 times ({server.url()}); "
        "run the same again to go on from here"
    )
    assert left(tmp_path) == {"file.part"}
    there = (tmp_path / "file.part").stat().st_size
    assert 0 < there < len(CONTENT)
    server.drops = 0
    server.asked.clear()
    fetch(server.url(), tmp_path / "file", sha256=SHA256)
    assert server.asked == [("/file", f"bytes={there}-")]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_key_press_leaves_what_is_there(server: Server, tmp_path: Path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url(), tmp_path / "file", sha256=SHA256, progress=stop)
    assert left(tmp_path) == {"file.part"}
    fetch(server.url(), tmp_path / "file", sha256=SHA256)
    assert server.asked[1][1] == f"bytes={download.CHUNK}-"
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_without_ranges_begins_again(server: Server, tmp_path: Path):
    server.ranges, server.drops = False, 1
    fetch(server.url(), tmp_path / "file", sha256=SHA256)
    assert [asked for _, asked in server.asked] == [None, f"bytes={HALF}-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_beginning_that_is_too_long_is_dropped(server: Server, tmp_path: Path):
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    assert fetch(server.url(), tmp_path / "file", sha256=SHA256).read_bytes() == CONTENT


def test_a_whole_beginning_needs_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("POCKETGAN_OFFLINE")
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/file", tmp_path / "file", sha256=SHA256, size=len(CONTENT)).is_file()


def test_a_server_that_does_not_say_how_much(server: Server, tmp_path: Path):
    server.announces_length = False
    seen: list[tuple[int, int]] = []
    fetch(server.url(), tmp_path / "file", sha256=SHA256, progress=lambda *now: seen.append(now))
    assert seen[-1] == (len(CONTENT), 0)


def test_a_wrong_checksum_is_refused_and_deleted(server: Server, tmp_path: Path):
    server.files["file"] = b"something else"
    other = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DataError) as wrong:
        fetch(server.url(), tmp_path / "file", sha256=SHA256)
    assert str(wrong.value) == (
        f"file is not the published file: its SHA-256 is {other}, not {SHA256} ({server.url()}); "
        "the download was deleted"
    )
    assert left(tmp_path) == set()


def test_a_wrong_size_is_refused_before_a_byte_is_taken(server: Server, tmp_path: Path):
    with pytest.raises(DataError) as wrong:
        fetch(server.url(), tmp_path / "file", sha256=SHA256, size=7)
    assert str(wrong.value) == f"file is not the published file: it has 1,048,576 bytes, not 7 ({server.url()})"
    assert left(tmp_path) == set()


def test_what_lies_there_is_verified(tmp_path: Path):
    target = tmp_path / "file"
    target.write_bytes(b"mine")
    with pytest.raises(DataError) as wrong:
        fetch("http://127.0.0.1:9/file", target, sha256=SHA256)
    assert str(wrong.value) == f"{target} is not the published file: its SHA-256 is another; delete it"
    assert target.read_bytes() == b"mine"


def test_no_network_is_one_line_at_once(server: Server, tmp_path: Path):
    url = server.url()
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError) as none:
        fetch(url, tmp_path / "file", sha256=SHA256)
    target = tmp_path / "file"
    assert str(none.value) == (
        f"file cannot be downloaded: there is no network ({url}); connect, "
        f"or download it elsewhere and put it at {target}"
    )
    assert left(tmp_path) == set()


@pytest.mark.parametrize(("value", "forbidden"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_offline_variable(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, forbidden: bool
):
    monkeypatch.setenv("POCKETGAN_OFFLINE", value)
    target = tmp_path / "file"
    if not forbidden:
        fetch(server.url(), target, sha256=SHA256)
        return
    with pytest.raises(DataError) as offline:
        fetch(server.url(), target, sha256=SHA256)
    assert str(offline.value) == (
        f"file cannot be downloaded: POCKETGAN_OFFLINE is set ({server.url()}); unset it, "
        f"or download it elsewhere and put it at {target}"
    )
    assert server.asked == []


def test_a_missing_file(server: Server, tmp_path: Path):
    with pytest.raises(DataError, match=r"the server answers 404 Not Found \(http.*\); try later, or download it"):
        fetch(server.url("nothing"), tmp_path / "file", sha256=SHA256)
    assert len(server.asked) == 1


def test_only_the_web(server: Server, tmp_path: Path):
    (tmp_path / "secret").write_bytes(CONTENT)
    for url in ((tmp_path / "secret").as_uri(), "ftp://127.0.0.1/file", server.url("local")):
        with pytest.raises(DataError, match="is not a web address; only http and https are followed"):
            fetch(url, tmp_path / "file", sha256=SHA256)
    assert left(tmp_path) == {"secret"}


def test_room_is_checked_first(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DataError) as full:
        fetch(server.url(), tmp_path / "file", sha256=SHA256, size=len(CONTENT))
    assert str(full.value) == (
        f"file needs 1,048,576 more bytes and {tmp_path} has 1,000 free; make room or choose another folder"
    )
    assert left(tmp_path) == set()


@pytest.mark.skipif(os.name != "posix", reason="a folder as a file")
def test_a_place_that_cannot_be_written(server: Server, tmp_path: Path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot be written: .*; choose another place"):
        fetch(server.url(), tmp_path / "taken" / "file", sha256=SHA256)
    assert server.asked == []


def test_two_callers_download_once(server: Server, tmp_path: Path):
    callers = [
        threading.Thread(target=fetch, args=(server.url(), tmp_path / "file"), kwargs={"sha256": SHA256})
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(server.asked) == 1
    assert (tmp_path / "file").read_bytes() == CONTENT
