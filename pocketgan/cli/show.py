"""How the verbs show figures and progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def command_line() -> str:
    return " ".join(["pocketgan", *sys.argv[1:]])


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


def table(columns: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(shown)


@contextmanager
def progress_shown() -> Iterator[Any]:
    """Gives a function (name, done, total): a live bar on a terminal, a line now and then elsewhere; on stderr."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bars:
            tasks: dict[str, Any] = {}

            def show(name: str, done: int, total: int) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=None)
                bars.update(tasks[name], completed=done, total=total or None)

            yield show
        return

    import time

    from pocketgan.units import duration_text

    begun: dict[str, tuple[float, int]] = {}
    said: dict[str, float] = {}

    def tell(name: str, done: int, total: int) -> None:
        now = time.monotonic()
        begun.setdefault(name, (now, done))
        if total and (said.setdefault(name, now) + 15 < now or done == total):
            said[name] = now
            start, first = begun[name]
            left = (now - start) / max(1, done - first) * (total - done)
            print(f"{name}: {done} of {total}, {duration_text(left)} left", file=sys.stderr, flush=True)

    yield tell
