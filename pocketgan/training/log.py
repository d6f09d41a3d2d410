"""The training log: one JSON object a line."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pocketgan.files import replacing


class Log:
    """Appends lines; when training resumes, lines that it is about to write again are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        if path.exists():
            kept = [line for line in read_log(path) if line["step"] <= step]
            with replacing(path) as part:
                part.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def write(self, **line: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log: one cut short by a kill, or damaged, is left out."""
    lines = []
    for line in path.read_text(errors="replace").splitlines(keepends=True):
        with suppress(ValueError, KeyError, TypeError):
            found = json.loads(line)
            if line.endswith("\n") and isinstance(found["step"], int):
                lines.append(found)
    return lines
