"""Archives of strangers, unpacked without trust.

Only plain files and folders below the target are written. Refused, in one line: absolute names and names with `..`,
links, devices, two members of one name, encryption, far more content than an archive of images can have, damage.
"""

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from pocketgan.errors import DataError, OutputError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
#: how far content may outgrow its archive: annotations in JSON reach 5; the constant is for small archives
RATIO, SLACK = 16, 64 << 20
CHUNK = 1 << 20
#: how the compressed kinds of tar begin
OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


class _Member(NamedTuple):
    name: str
    kind: str  # "file", "folder" or what is refused
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def extract(archive: Path, folder: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Unpack a zip or tar archive into `folder`, which is made; left half full where an error is raised.

    progress: called with the bytes of the archive that are read, and all of them.

    Raises:
        DataError: the archive is damaged, cut off, or holds what is refused (see above).
        OutputError: there is no room, or the folder cannot be written.
    """
    room = _room(archive)
    with archive.open("rb") as raw:
        try:
            for member in _members(archive, raw):
                target = folder / _place(archive, member)
                if member.kind == "folder" or _litter(target):
                    continue
                room -= member.size
                if room < 0:
                    raise _refused(archive, "it would unpack to far more than images can", member.name)
                _write(archive, member, target)
                if progress:
                    progress(raw.tell(), archive.stat().st_size)
        except _DAMAGE as error:
            raise DataError(f"{archive} is damaged or cut off; delete it and get it again") from error
        except (NotImplementedError, RuntimeError) as error:
            raise DataError(
                f"{archive} cannot be unpacked: {error}; unpack it yourself and name the folder"
            ) from error


def _write(archive: Path, member: _Member, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise _refused(archive, "it holds two members of one name", member.name) from error
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}; choose another --out") from error
    with file:
        content = member.open()
        assert content is not None  # of a plain file there is always content
        with content:
            while chunk := content.read(CHUNK):
                try:
                    file.write(chunk)
                except OSError as error:
                    raise OutputError(f"{target} cannot be written: {error.strerror}; make room") from error


def _members(archive: Path, raw: IO[bytes]) -> Iterator[_Member]:
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(raw) as opened:
            for info in opened.infolist():
                mode = stat.S_IFMT(info.external_attr >> 16)
                plain = "folder" if info.is_dir() else "file"
                kind = {0: plain, stat.S_IFREG: "file", stat.S_IFDIR: "folder"}.get(mode, "a link or a device")
                if info.flag_bits & 1:
                    kind = "an encrypted file"
                yield _Member(info.filename, kind, info.file_size, partial(opened.open, info))
        return
    start = raw.read(8)
    raw.seek(0)
    opener = next((own for magic, own in OPENERS.items() if start.startswith(magic)), None)
    content = _Bounded(archive, opener(raw) if opener else raw)
    # as a stream, in which nothing is passed over unread
    with tarfile.open(fileobj=content, mode="r|") as tar:  # type: ignore[call-overload]
        for entry in tar:
            kind = "file" if entry.isreg() else "folder" if entry.isdir() else "a link or a device"
            yield _Member(entry.name, kind, entry.size, partial(tar.extractfile, entry))
    # the checksum of the whole lies behind the last member
    while content.read(CHUNK):
        pass


class _Bounded:
    """The content of an archive, as far as an archive of that size can have so much; headers count too, which
    `tarfile` would hold in memory whatever length they claim."""

    def __init__(self, archive: Path, content: Any) -> None:
        self.archive, self.content = archive, content
        # beyond what `extract` allows the members: the padding of each, and what is passed over
        self.room = 2 * _room(archive)

    def read(self, length: int) -> bytes:
        found = self.content.read(length)
        self.room -= len(found)
        if self.room < 0:
            raise DataError(
                f"{self.archive} is refused: it would unpack to far more than images can; get it from its publisher"
            )
        return found


def _room(archive: Path) -> int:
    """How many bytes an archive of images may unpack to."""
    return archive.stat().st_size * RATIO + SLACK


def _place(archive: Path, member: _Member) -> PurePosixPath:
    """Where a member goes, below the target. The colons of the times in summer2winter are no names everywhere."""
    place = PurePosixPath(member.name.replace("\\", "/").replace(":", "-"))
    if place.is_absolute() or ".." in place.parts or "\0" in member.name:
        raise _refused(archive, "it would write outside of its folder", member.name)
    if member.kind not in ("file", "folder"):
        raise _refused(archive, f"it holds {member.kind}", member.name)
    return place


def _litter(path: Path) -> bool:
    """What a Mac adds to archives."""
    return "__MACOSX" in path.parts or path.name == ".DS_Store" or path.name.startswith("._")


def _refused(archive: Path, reason: str, name: str) -> DataError:
    return DataError(f"{archive} is refused: {reason} ({name[:200]!r}); get it from its publisher")


def remove(folder: Path) -> None:
    """Delete a folder and all it holds, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
