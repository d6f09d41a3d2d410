"""The short form of every benchmark, one after the other, and one table of what they printed: make bench

Sizes are tiny and turns are two: this shows that every script runs here and what it measures, in minutes. Figures
to quote come from the scripts themselves, on a quiet machine. A script that cannot run here stands in the table
with its reason. Ends with an error if any other fails.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import measure

HERE = Path(__file__).resolve().parent
#: the short ones first
SCRIPTS = (
    *("startup", "cost_model", "data", "scoring", "bootstrap", "inference", "training", "search", "fid_profile"),
    *("horse2zebra", "segmentation", "precision", "sampling", "plan", "generators", "exports", "latency"),
    *("editing", "large", "chaos", "page", "workers"),
)
#: how a script ends that lacks what it needs: its last line says what
LACKS = re.compile("not beside the repository|needs chromium|is not installed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=measure.ROOT / "runs" / "bench.md", help="where the table goes")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS, help="these scripts alone")
    chosen = parser.parse_args()
    lines, failed = [], []
    for name in chosen.only:
        began = time.perf_counter()
        rows, end = run(name)
        seconds = time.perf_counter() - began
        if not rows and not LACKS.search(end):
            failed.append(name)
        lines += [(name, *cells) for cells in told(rows)] or [(name, "not run", end)]
        print(f"{name}: {end if not rows else f'{len(rows)} rows'}, {seconds:.0f} s", flush=True)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(page(lines))
    print(chosen.out)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of a script's short form, none where it failed, and the last line that it printed."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, str(HERE / f"{name}.py"), "--quick", "--results", results]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=measure.ROOT)
        found = [json.loads(path.read_text())["rows"] for path in Path(results).glob("*.json")]
    lines = (ended.stderr if ended.returncode else ended.stdout).strip().splitlines() or ["it printed nothing"]
    return (found[0] if found and not ended.returncode else []), lines[-1]


def told(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Each row as what was measured and its figures: words name it, numbers are figures."""
    for row in rows:
        words = [value for value in row.values() if isinstance(value, str)]
        figures = [f"{key} {text(value)}" for key, value in row.items() if not isinstance(value, str | None)]
        yield ", ".join(words), "; ".join(figures)


def text(value: Any) -> str:
    """A figure, or what holds several of them."""
    if isinstance(value, list):
        return " to ".join(map(text, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text(each)}" for key, each in value.items())
    return measure.text(value)


def page(lines: list[tuple[str, str, str]]) -> str:
    own = measure.machine()
    where = f"{own['cpu']}, {own['cores']} cores, {own['gpu'] or 'no GPU'}, load {own['load']}"
    head = (
        f"Short forms of every benchmark: {time.strftime('%-d %B %Y')}, commit {measure.commit()}, {where}. Sizes "
        "are tiny: they show that the scripts run, and are not for quoting."
    )
    cells = [("script", "what", "figures"), ("---",) * 3, *lines]
    return f"{head}\n\n" + "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in cells)


if __name__ == "__main__":
    sys.exit(main())
