"""How the verbs show text and figures: at a terminal nothing breaks within a word, and no name is cut."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import typer

#: characters between columns, and those that a column of sentences keeps at least; it is one of sentences, not of
#: names and figures, if its widest cell is wider than `_SENTENCE`
_GAP, _READABLE, _NAME, _SENTENCE = 2, 28, 14, 40


def command_line() -> str:
    """The command, without a password that stands in it."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1@", shlex.join(["pocketgan", *sys.argv[1:]]))


def print_json(value: object) -> None:
    print(json.dumps(value, indent=1))


def say(text: str, *, err: bool = False) -> None:
    """A line of text, broken between words where a terminal is narrower; as it is for other readers."""
    stream = sys.stderr if err else sys.stdout
    print("\n".join(_wrapped(text, _width(stream.isatty()))), file=stream)


def facts(lines: Iterable[tuple[str, object]]) -> None:
    """A name and what there is to say of it, line by line."""
    width = _width(sys.stdout.isatty())
    for name, value in lines:
        first, *more = _wrapped(str(value), width and max(_READABLE, width - 29))
        print(f"{name:28} {first}")
        for line in more:
            print(f"{'':28} {line}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: int | None = None) -> None:
    """Rows under bold column heads; a block a row where a terminal is too narrow for them side by side.

    `right`: from this column on cells are figures, which end at the right.
    """
    if right is not None:
        widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
        columns, *rows = [
            [
                text.rjust(width) if place >= right else text
                for place, (text, width) in enumerate(zip(row, widths, strict=True))
            ]
            for row in (columns, *rows)
        ]
    for line in table_lines(columns, rows, _width(sys.stdout.isatty())):
        if line.head and not os.environ.get("NO_COLOR"):
            typer.secho(line.text, bold=True)
        else:
            print(line.text)


class Line(NamedTuple):
    """A line of a table; `head`: it names what follows."""

    text: str
    head: bool = False


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[Line]:
    """The lines of a table that is at most `width` characters wide, but for words that are wider themselves.

    Sentences are broken between words. Where their columns would get narrower than can be read, each row becomes a
    block: its first cell, and under that each other one after the name of its column.
    """
    cells = [list(columns), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is not None and (more := sum(widths) + _GAP * (len(widths) - 1) - width) > 0:
        least = [
            max(
                min(natural, _READABLE if natural > _SENTENCE else _NAME),
                *(len(word) for text in column for word in text.split() or [""]),
            )
            for natural, column in zip(widths, zip(*cells, strict=True), strict=True)
        ]
        if sum(widths) - sum(least) < more:
            return _blocks(columns, rows, width)
        while more:
            # the widest that can still give way loses a character
            place = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
            widths[place], more = widths[place] - 1, more - 1
    lines = []
    for place, row in enumerate(cells):
        parts = [_wrapped(text, own) for text, own in zip(row, widths, strict=True)]
        for number in range(max(map(len, parts))):
            line = (part[number] if number < len(part) else "" for part in parts)
            text = (" " * _GAP).join(f"{part:{own}}" for part, own in zip(line, widths, strict=True))
            lines.append(Line(text.rstrip(), place == 0))
    return lines


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    indent = 2 + max(map(len, columns[1:])) + _GAP
    lines = []
    for first, *others in rows:
        lines.append(Line(first, True))
        for name, text in zip(columns[1:], others, strict=True):
            if text:
                told = _wrapped(text, max(_READABLE, width - indent))
                lines += [Line(f"{'' if i else '  ' + name:{indent}}{line}") for i, line in enumerate(told)]
    return lines


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _width(terminal: bool) -> int | None:
    """The columns of the terminal; None for a file or a pipe, where a row is a line."""
    return shutil.get_terminal_size().columns if terminal else None
