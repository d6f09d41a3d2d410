"""The files of a page by their addresses: the same ones that the server sends and that a static folder holds."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from pocketgan import __version__
from pocketgan.demo.offer import Offer, Picture

ASSETS = Path(__file__).parent / "page"
#: what the browser's own runtime consists of, by the name that the page knows it by
RUNTIMES = {
    "wasm": ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm.xz"),
    "webgpu": ("ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm.xz"),
}
#: the most bytes of examples, so that the page has less than 6 MB beside networks and report; one there always is
ROOM = 800_000
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class File:
    """A file of the page: its content, or the place of a large one."""

    source: bytes | Path

    def open(self) -> tuple[io.BufferedIOBase, int]:
        """The content as a stream, and how many bytes it has. Raises `OSError` where a file is gone."""
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source), len(self.source)
        stream = self.source.open("rb")
        return stream, os.fstat(stream.fileno()).st_size


def media_type(address: str) -> str:
    """What a browser is told that a file is."""
    return _TYPES.get(PurePosixPath(address).suffix, "application/octet-stream")


def site_of(offer: Offer, *, served: bool, assets: Path = ASSETS) -> dict[str, File]:
    """Every file of the page by its address, relative to the page.

    Args:
        served: whether there is a server that can run the networks where the browser cannot.
        assets: the page's own files.
    """
    files = {path.relative_to(assets).as_posix(): File(path) for path in _files(assets)}
    runtimes = [name for name, parts in RUNTIMES.items() if all(f"ort/{part}" in files for part in parts)]
    examples: list[dict[str, Any]] = []
    left = ROOM
    for number, example in enumerate(offer.examples):
        source, target = f"examples/{number}.png", f"examples/{number}-target.png"
        pictures = {source: _png(example.source)}
        if example.target is not None:
            pictures[target] = _png(example.target)
        left -= sum(len(each) for each in pictures.values())
        if examples and left < 0:
            break
        examples.append({"name": example.name, "source": source, "target": target if target in pictures else None})
        files |= {address: File(picture) for address, picture in pictures.items()}
    files |= {each.place: File(each.file) for each in offer.contestants}
    if offer.report and offer.report.is_file():
        files["report.html"] = File(offer.report)
    about = {
        **described(offer),
        "examples": examples,
        "runtimes": runtimes,
        "served": served,
        "report": "report.html" in files,
    }
    files["demo.json"] = File(json.dumps(about, indent=1).encode())
    return files


def described(offer: Offer) -> dict[str, Any]:
    """What the page is told of the offer, but for the examples."""
    return {
        "title": offer.title,
        "kind": offer.kind,
        "size": list(offer.size),
        "labels": offer.labels.model_dump() if offer.labels else None,
        "channels": offer.values.channels if offer.values else None,
        "deep": bool(offer.values and offer.values.learnt_deep),
        "paints": [paint._asdict() for paint in offer.paints],
        "front": [each.described() for each in offer.front],
        "start": offer.start,
        "teacher": offer.teacher.described() if offer.teacher else None,
        "style": offer.style,
        "version": __version__,
    }


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".py")


def _png(pixels: Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
