"""The plots of the page, as SVG text for inlining: the same input gives the same bytes.

Colours are CSS variables of the page with a light-mode fallback, so that one drawing serves light and dark.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pocketgan.report.model import CandidatePoint, Report
from pocketgan.search.pareto import front_of
from pocketgan.units import Number, number_text, si

INK, MUTED, GRID = "#1f2328", "#59636e", "#d8dee4"
DOT, FRONT, CHOSEN = "#8c96a3", "#1f6feb", "#d9480f"
LINES = ("#1f6feb", "#d9480f", "#2b8a3e", "#9c36b5", "#b08800", "#0c8599")
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    DOT: "--dot",
    **{color: f"--series-{i}" for i, color in enumerate(LINES)},
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
}
_LABEL: dict[str, Any] = {"textcoords": "offset points", "color": MUTED, "fontsize": 9}
_MAX_POINTS = 240
#: of a legend: its columns at most, the characters of a line, and those that a line's mark takes
_COLUMNS, _LINE, _MARK = 6, 110, 5

#: puts a plot on empty axes
Draw = Callable[[Axes], None]


def pareto_svg(report: Report) -> str:
    """Every scored candidate of `report`, `macs` against `metric`: the front, the choice, teacher and budget.

    An axis becomes logarithmic where its values span more than a factor of ten.
    """
    candidates, front, metric = report.scored(), report.front(), report.metric

    def draw(axes: Axes) -> None:
        if candidates:
            x, y = zip(*_points(report, candidates), strict=True)
            axes.scatter(x, y, 22, facecolors=DOT, edgecolors=DOT, linewidths=0.9, label="candidates", zorder=2)
        if front:
            x, y = zip(*_points(report, front), strict=True)
            axes.plot(x, y, "o-", color=FRONT, linewidth=1.6, markersize=4.5, label="front", zorder=3)
        for point in _points(report, [c for c in candidates if c.chosen]):
            axes.plot(*point, "D", color=CHOSEN, markersize=9, label="chosen", zorder=5)

        macs: list[Number] = [c.macs for c in candidates]
        scores: list[Number] = [c.scores[metric] for c in candidates]
        if (teacher := report.teacher_on_selection) is not None:
            scores.append(teacher)
            axes.axhline(teacher, color=MUTED, linewidth=1.1, dashes=(5, 3), zorder=1)
            axes.annotate(
                f"teacher {number_text(teacher)}",
                (0, teacher),
                xycoords=("axes fraction", "data"),
                xytext=(4, 4),
                **_LABEL,
            )
        if (budget := report.budget_macs) is not None:
            macs.append(budget)
            axes.axvline(budget, color=MUTED, linewidth=1.1, dashes=(1.5, 2), zorder=1)
            axes.annotate(
                f"budget {si(budget)}",
                (budget, 1),
                xycoords=("data", "axes fraction"),
                xytext=(5, -12),
                **_LABEL,
            )
        scale(axes, "x", macs, si)
        scale(axes, "y", scores, number_text)
        axes.set_xlabel("MACs (papers’ convention)")
        axes.set_ylabel(f"{metric} ({report.better[metric]} is better)")
        legend(axes)

    return svg_of(draw, (10.5, 5.2), f"{metric} against MACs of {len(candidates)} candidates")


def latency_svg(report: Report) -> str:
    """The candidates whose latency was measured, that against `metric`: dots, the front of them, the choice."""
    timed = [(c.latency_ms, c) for c in report.scored() if c.latency_ms is not None]
    points = [(ms, c.scores[report.metric]) for ms, c in timed]

    def draw(axes: Axes) -> None:
        x, y = zip(*points, strict=True)
        axes.scatter(x, y, 22, color=DOT, label="measured", zorder=2)
        front = zip(*(points[i] for i in front_of([(ms, report.sign * y) for ms, y in points])), strict=True)
        axes.plot(*front, "o-", color=FRONT, linewidth=1.6, markersize=4.5, label="front", zorder=3)
        for point, (_, candidate) in zip(points, timed, strict=True):
            if candidate.chosen:
                axes.plot(*point, "D", color=CHOSEN, markersize=9, label="chosen", zorder=5)
        scale(axes, "x", x, number_text)
        scale(axes, "y", y, number_text)
        axes.set_xlabel("milliseconds an image")
        axes.set_ylabel(f"{report.metric} ({report.better[report.metric]} is better)")
        legend(axes)

    return svg_of(draw, (10.5, 3.6), f"{report.metric} against the latency of {len(points)} candidates")


def losses_svg(stage: str, curves: Mapping[str, Sequence[tuple[Number, Number]]]) -> str:
    """The losses of one stage: for each name its (step, value) pairs, averaged to what a plot can show."""

    def draw(axes: Axes) -> None:
        values: list[Number] = []
        for i, (name, points) in enumerate((n, p) for n, p in curves.items() if p):
            thinned = _thinned(points)
            values += [value for _, value in thinned]
            axes.plot(*zip(*thinned, strict=True), color=LINES[i % len(LINES)], linewidth=1.3, label=name)
        scale(axes, "y", values, number_text)
        axes.xaxis.set_major_formatter(lambda step, _: _tick(si(step)))
        axes.set_xlabel("step")
        legend(axes)

    return svg_of(draw, (10.5, 3.6), f"losses of {stage}")


def _points(report: Report, candidates: Sequence[CandidatePoint]) -> list[tuple[Number, Number]]:
    return [(c.macs, c.scores[report.metric]) for c in candidates]


def _thinned(points: Sequence[tuple[Number, Number]]) -> list[tuple[Number, Number]]:
    """Means of equal runs of `points`, at most `_MAX_POINTS` of them."""
    run = -(-len(points) // _MAX_POINTS)
    groups = [points[i : i + run] for i in range(0, len(points), run)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def scale(axes: Axes, which: str, values: Sequence[Number], text: Callable[[Number], str]) -> None:
    """Ticks of axis `which` written by `text`; logarithmic where positive `values` span a factor of ten."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if values and min(values) > 0 and max(values) > 10 * min(values):
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(lambda value, _: _tick(text(value)))


def _tick(text: str) -> str:
    """`text` without the zeros that only state precision: `1.50 G` becomes `1.5 G`."""
    number, *prefix = text.split(" ")
    return " ".join([number.rstrip("0").rstrip(".") if "." in number else number, *prefix])


def legend(axes: Axes) -> None:
    """Above the plot, where it hides no point; in several lines where names are long."""
    columns = _columns([len(name) for name in axes.get_legend_handles_labels()[1]])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, handletextpad=0.4, columnspacing=1.6)


def _columns(lengths: Sequence[int]) -> int:
    """In how many columns names of these lengths fit above a plot, filled one column after another."""
    for columns in range(min(_COLUMNS, len(lengths)), 1, -1):
        widest = [column.max() for column in np.array_split(lengths, columns)]
        if sum(widest) + _MARK * columns <= _LINE:
            return columns
    return 1


def svg_of(draw: Draw, size: tuple[float, float], title: str) -> str:
    """What `draw` puts on fresh axes of `size` inches: an `<svg>` element as wide as its place."""
    return _inline(drawn(draw, size, title, "svg", transparent=True).decode(), title)


def drawn(draw: Draw, size: tuple[float, float], title: str, kind: Literal["svg", "png"], **settings: Any) -> bytes:
    """What `draw` puts on fresh axes of `size` inches, as a file; `settings` are those of matplotlib's savefig."""
    # "default" shuts out the settings of the machine; the salt makes ids repeat, and differ between plots.
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": title}]):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        silent = ("Creator", "Date", "Format", "Type") if kind == "svg" else ("Software",)
        figure.savefig(buffer, format=kind, metadata=dict.fromkeys(silent), **settings)
    return buffer.getvalue()


def _inline(document: str, title: str) -> str:
    """The `<svg>` element of an SVG document, without prolog, fixed size and ids that nothing refers to."""
    svg = document[document.index("<svg") :].strip()
    opening, body = svg.split(">", 1)
    view = opening[opening.index("viewBox=") :].split('"')[1]
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var({variable}, {color})")
    # The page's own font replaces the one that the layout was measured with.
    body = re.sub(r"(font: [^;\"']*px) [^;\"]*", r"\1 system-ui, sans-serif", body)
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'{head} viewBox="{view}" role="img" aria-label={quoteattr(title)}>{body}'
