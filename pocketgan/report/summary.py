"""The report's table as lines of text, for the terminal."""

from __future__ import annotations

from pocketgan.report import comparison
from pocketgan.report.model import Report


def summary_lines(report: Report) -> tuple[list[str], list[list[str]]]:
    """Column titles, and one line a figure: teacher, compressed, change."""
    rows = [row for kind in ("teacher", "compressed") if (row := report.first(kind))]
    titles = ["", *(row.name for row in rows), "change"]
    lines = comparison.lines(report, rows)
    return titles, [[line.title, *(cell.text for cell in line.cells), line.change.text] for line in lines]
