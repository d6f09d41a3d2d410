"""The report's tables as lines of text, for the terminal."""

from __future__ import annotations

from pocketgan.report import comparison
from pocketgan.report.model import Report


def summary_lines(report: Report) -> tuple[list[str], list[list[str]]]:
    """Column titles, and one line a figure: before, after, change, and what it is worth."""
    rows = [row for kind in ("published", "teacher", "compressed") if (row := report.first(kind))]
    titles = ["", *(row.name for row in rows), "change"]
    lines = comparison.lines(report, rows)
    return titles, [[line.title, *(cell.text for cell in line.cells), _told(line.change)] for line in lines]


def _told(cell: comparison.Cell) -> str:
    return f"{cell.text} ({cell.remark})" if cell.remark else cell.text


def side_by_side(report: Report) -> tuple[list[str], list[list[str]]]:
    """Column titles, and one line a figure: every row of the report, scores with their 95 % intervals."""
    titles = ["", *(row.name for row in report.rows)]
    lines = [["subnet", *(row.subnet or "" for row in report.rows)]]
    for line in comparison.lines(report, report.rows):
        texts = (_told(cell) if line.is_score else cell.text for cell in line.cells)
        lines.append([line.title, *texts])
    return titles, lines
