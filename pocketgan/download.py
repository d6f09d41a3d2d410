"""A file from the network, whose content is known beforehand.

Nothing unpinned is ever downloaded: the SHA-256 is part of the question. An interrupted download lies beside its
target as `<name>.part` and is continued by the next call (HTTP Range). `POCKETGAN_OFFLINE=1` forbids connections.
"""

import http.client
import os
import shutil
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from filelock import FileLock

from pocketgan import __version__
from pocketgan.errors import DataError, OutputError
from pocketgan.files import file_sha256

Progress = Callable[[int, int], None]

#: seconds without an answer or without a byte
TIMEOUT = 10.0
#: how often a connection that breaks off is taken up again, and the seconds before the first time (then doubled)
RETRIES, PAUSE = 4, 0.5
CHUNK = 1 << 18


class _Dropped(Exception):
    """The connection broke off before the end of the file."""


def fetch(
    url: str, target: Path, *, sha256: str, size: int | None = None, progress: Progress | None = None
) -> Path:
    """Download `url` to `target` and return `target`; a target that is there already is only verified.

    url: http or https; redirections to anything else are refused.
    sha256: the hex digest, or its first eight or more digits.
    size: bytes, where known: checked against the server's and against the free disk space before anything is taken.
    progress: called with bytes that are there and bytes in all (0 where neither caller nor server says).

    Errors: DataError in one line (no network, refused by the server, wrong size, wrong checksum, no room);
    OutputError where the file cannot be written. Wrong bytes are deleted, a beginning is left for the next call.
    """
    if len(sha256) < 8 or set(sha256.lower()) - set("0123456789abcdef"):
        raise ValueError(f"'{sha256}' is not a SHA-256 or eight or more digits of its beginning")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not target.exists():
                _download(url, target, sha256, size, progress)
            elif not file_sha256(target).startswith(sha256.lower()):
                raise DataError(f"{target} is not the published file: its SHA-256 is another; delete it")
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}; choose another place") from error
    return target


def _download(url: str, target: Path, sha256: str, size: int | None, progress: Progress | None) -> None:
    part = target.with_name(f"{target.name}.part")
    remedy = f"or download it elsewhere and put it at {target}"
    if os.environ.get("POCKETGAN_OFFLINE", "0") not in ("", "0"):
        raise DataError(f"{target.name} cannot be downloaded: POCKETGAN_OFFLINE is set ({url}); unset it, {remedy}")
    for attempt in range(RETRIES + 1):
        before = _length(part)
        if size is not None and before == size:
            break
        try:
            _take(url, part, before, target.name, size, progress)
            break
        except HTTPError as error:
            if error.code != 416:
                answer = f"{error.code} {error.reason}".strip()
                raise DataError(
                    f"{target.name} cannot be downloaded: the server answers {answer} ({url}); try later, {remedy}"
                ) from error
            part.unlink()  # longer than the file: what lies there is something else
        except (_Dropped, URLError) as error:
            reason = getattr(error, "reason", None)
            if isinstance(reason, ssl.SSLError):
                raise DataError(f"{target.name} cannot be downloaded: {reason} ({url}); {remedy[3:]}") from error
            if isinstance(error, URLError) and attempt == 0:
                raise DataError(
                    f"{target.name} cannot be downloaded: there is no network ({url}); connect, {remedy}"
                ) from error
            if attempt == RETRIES:
                raise DataError(
                    f"{target.name} cannot be downloaded: the connection broke off {RETRIES + 1} times ({url}); "
                    "run the same again to go on from here"
                ) from error
            time.sleep(PAUSE * 2**attempt)
    found = file_sha256(part)
    if not found.startswith(sha256.lower()):
        part.unlink()
        raise DataError(
            f"{target.name} is not the published file: its SHA-256 is {found}, not {sha256} ({url}); "
            "the download was deleted"
        )
    part.replace(target)


def _take(url: str, part: Path, start: int, name: str, size: int | None, progress: Progress | None) -> None:
    """One connection: append to `part` from byte `start` on, to the end of the file."""
    headers = {"User-Agent": f"pocketgan/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = _opener().open(Request(_web(url), headers=headers), timeout=TIMEOUT)
    except URLError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped from error
    with response:
        # a server that does not know ranges, or answers with another one, begins from the start
        if start and not (response.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else (size or 0)
        if size is not None and total != size:
            part.unlink(missing_ok=True)
            raise DataError(f"{name} is not the published file: it has {total:,} bytes, not {size:,} ({url})")
        room = shutil.disk_usage(part.parent).free
        if total - start > room:
            raise DataError(
                f"{name} needs {total - start:,} more bytes and {part.parent} has {room:,} free; make room "
                "or choose another folder"
            )
        with part.open("ab") as file:
            file.truncate(start)
            _copy(response, file, start, total, progress)


def _copy(response: http.client.HTTPResponse, file, done: int, total: int, progress: Progress | None) -> None:
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Dropped from error
        if not chunk:
            break
        file.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, total)
    if done < total:
        raise _Dropped


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class _WebOnly(HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return super().redirect_request(req, fp, code, msg, headers, _web(newurl))


def _web(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url} is not a web address; only http and https are followed")
    return url


def _opener() -> OpenerDirector:
    return build_opener(_WebOnly)
