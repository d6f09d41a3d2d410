"""Archives that mean harm or are damaged: refused in one line."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pocketgan.errors import DataError
from pocketgan.prepare import archives
from pocketgan.prepare.archives import extract

Maker = Callable[..., Path]


def make_zip(path: Path, name: str, content: bytes = b"x", mode: int = 0, encrypted: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    if encrypted:
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(data)
    return path


def make_tar(path: Path, name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, target: str = "") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        info.size = len(content) if kind == tarfile.REGTYPE else 0
        archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(("make", "file"), [(make_zip, "a.zip"), (make_tar, "a.tar.gz")])
def test_a_plain_archive(make: Maker, file: str, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    archive = make(tmp_path / file, "set/train/2011-07-02 07:34:58.jpg", b"content")
    extract(archive, tmp_path / "out", lambda *now: seen.append(now))
    assert (tmp_path / "out" / "set" / "train" / "2011-07-02 07-34-58.jpg").read_bytes() == b"content"
    assert seen
    assert {total for _, total in seen} == {archive.stat().st_size}


@pytest.mark.parametrize(("make", "file"), [(make_zip, "a.zip"), (make_tar, "a.tar.gz")])
@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "..\\out", "\\out"])
def test_no_way_out(make: Maker, file: str, name: str, tmp_path: Path):
    archive = make(tmp_path / file, name)
    with pytest.raises(DataError) as refused:
        extract(archive, tmp_path / "into", None)
    assert str(refused.value) == (
        f"{archive} is refused: it would write outside of its folder ({name!r}); get it from its publisher"
    )
    assert {path.name for path in tmp_path.iterdir()} == {file}


def test_a_drive_is_no_way_out(tmp_path: Path):
    extract(make_zip(tmp_path / "a.zip", "C:/out"), tmp_path / "into")
    assert (tmp_path / "into" / "C-" / "out").is_file()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_no_links_and_devices_in_a_tar(kind: bytes, tmp_path: Path):
    archive = make_tar(tmp_path / "a.tar.gz", "it", kind=kind, target="/etc")
    with pytest.raises(
        DataError, match=r"is refused: it holds a link or a device \('it'\); get it from its publisher"
    ):
        extract(archive, tmp_path / "into")


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFIFO | 0o666])
def test_no_links_and_devices_in_a_zip(mode: int, tmp_path: Path):
    archive = make_zip(tmp_path / "a.zip", "it", b"/etc", mode)
    with pytest.raises(
        DataError, match=r"is refused: it holds a link or a device \('it'\); get it from its publisher"
    ):
        extract(archive, tmp_path / "into")


def test_no_encryption(tmp_path: Path):
    with pytest.raises(DataError, match=r"is refused: it holds an encrypted file \('it'\); get it"):
        extract(make_zip(tmp_path / "a.zip", "it", encrypted=True), tmp_path / "into")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_two_members_of_one_name(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("it", b"first")
        archive.writestr("it", b"second")
    with pytest.raises(DataError, match="is refused: it holds two members of one name"):
        extract(tmp_path / "a.zip", tmp_path / "into")
    assert (tmp_path / "into" / "it").read_bytes() == b"first"


@pytest.mark.parametrize(("make", "file"), [(make_zip, "a.zip"), (make_tar, "a.tar.gz")])
def test_no_bombs(make: Maker, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "SLACK", 1000)
    archive = make(tmp_path / file, "it", bytes(1 << 20))
    assert archive.stat().st_size < 3000
    with pytest.raises(DataError, match="is refused: it would unpack to far more than images can"):
        extract(archive, tmp_path / "into")
    assert not (tmp_path / "into").exists()
    extract(make(tmp_path / file, "it", os.urandom(1 << 16)), tmp_path / "into")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, partial(lzma.compress, preset=0)])
def test_no_bombs_in_the_headers_of_a_tar(
    kind: bytes, pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Headers of an unlimited length, which `tarfile` reads whole."""
    header = tarfile.TarInfo("it")
    header.type, header.size = kind, 8 << 20
    (tmp_path / "a.tar.gz").write_bytes(pack(header.tobuf(tarfile.USTAR_FORMAT) + bytes(8 << 20)))
    monkeypatch.setattr(archives, "SLACK", 1000)
    tracemalloc.start()
    with pytest.raises(DataError, match="is refused: it would unpack to far more than images can"):
        extract(tmp_path / "a.tar.gz", tmp_path / "into")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


@pytest.mark.parametrize(("make", "file"), [(make_zip, "a.zip"), (make_tar, "a.tar.gz")])
def test_damage(make: Maker, file: str, tmp_path: Path):
    archive = make(tmp_path / file, "it", os.urandom(5000))
    whole = archive.read_bytes()
    broken = bytearray(whole)
    broken[2500] ^= 255
    for number, data in enumerate(
        (whole[: len(whole) // 2], whole[:100], b"", b"<html>log in</html>", bytes(broken))
    ):
        archive.write_bytes(data)
        with pytest.raises(DataError) as damaged:
            extract(archive, tmp_path / f"into{number}")
        assert str(damaged.value) == f"{archive} is damaged or cut off; delete it and get it again", number


def test_litter_is_left_out(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("__MACOSX/set/._1.jpg", "set/.DS_Store", "set/._1.jpg", "set/1.jpg"):
            archive.writestr(name, b"")
    extract(tmp_path / "a.zip", tmp_path / "into")
    assert [path.name for path in (tmp_path / "into").rglob("*")] == ["set", "1.jpg"]
