"""The page as a folder for any static host."""

from __future__ import annotations

import io
import re
import shutil
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from pocketgan.demo.site import File
from pocketgan.errors import OutputError
from pocketgan.files import replacing

#: what a static folder has beside the page's own files
NOTE = """This folder is a page that runs networks in the browser. Put it on any static host, as it is.

Threads need two headers with every file:
    Cross-Origin-Opener-Policy: same-origin
    Cross-Origin-Embedder-Policy: require-corp
Where the host cannot send them, the page's service worker (isolation.js) adds them; it needs https, or localhost.
Without either, the networks run on one thread. Opened as a file, without a host, the page does not run.

To try it here: python -m http.server --bind 127.0.0.1 --directory THIS_FOLDER
"""
#: where a report shows the page, and what stands there
MARK = "<!-- live -->"
_LIVE = (
    '<section><h2>Live</h2><iframe src="./#embed" title="Live picture" width="100%" height="760" style="border:0">'
    '</iframe><p><a href="./">Open the page</a></p></section>'
)


def write_folder(files: Mapping[str, File], out: Path) -> int:
    """Write a page into a new or empty folder, as a whole; the report in it shows it live. Returns its bytes.

    Raises `OutputError` where the folder is not empty or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is not empty; choose another folder with --static")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as part:
            for address, file in files.items():
                place = part / address
                place.parent.mkdir(parents=True, exist_ok=True)
                stream, _ = file.open()
                with stream, place.open("wb") as target:
                    shutil.copyfileobj(stream, target)
            if (report := part / "report.html").is_file():
                report.write_text(_lighter(report.read_text().replace(MARK, _LIVE, 1)))
            (part / "HOSTING.txt").write_text(NOTE)
            return sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}; choose another --static") from error


def _lighter(page: str) -> str:
    """A page with its lossless pictures at a quality that the eye cannot tell from it, at a fifth of the bytes."""

    def recoded(found: re.Match[str]) -> str:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(b64decode(found[1]))).save(buffer, "WEBP", quality=90)
        return "data:image/webp;base64," + b64encode(buffer.getvalue()).decode("ascii")

    return re.sub(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", recoded, page)
