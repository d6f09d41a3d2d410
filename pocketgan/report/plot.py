"""The plots of the page, as SVG text for inlining: the same input gives the same bytes.

Colours are CSS variables of the page with a light-mode fallback, so that one drawing serves light and dark.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pocketgan.metrics.titles import title_of
from pocketgan.report.comparison import subnet_text
from pocketgan.report.effort import loss_title
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

#: width and height of a plot: for pages of usual width, and for those of a phone
Inches = tuple[float, float]
WIDE, LOW, NARROW = (10.5, 5.2), (10.5, 3.6), (4.7, 4.4)


class Hit(NamedTuple):
    """A point of a plot that tells more when it is pointed at."""

    x: Number
    y: Number
    text: str


#: puts a plot on empty axes
Draw = Callable[[Axes], None]


def pareto_svg(report: Report, size: Inches = WIDE) -> str:
    """Every scored candidate of `report`, `macs` against `metric`: the front, the choice, teacher and budget.

    An axis becomes logarithmic where its values span more than a factor of ten. A budget far beyond all candidates
    is left out, as it would press them to the edge.
    """
    candidates, front, metric = report.scored(), report.front(), report.metric
    title = title_of(metric)

    def draw(axes: Axes) -> None:
        if candidates:
            x, y = zip(*_points(report, candidates), strict=True)
            axes.scatter(x, y, 22, facecolors=DOT, edgecolors=DOT, linewidths=0.9, label="scored subnets", zorder=2)
        if front:
            x, y = zip(*_points(report, front), strict=True)
            axes.plot(x, y, "o-", color=FRONT, linewidth=1.6, markersize=4.5, label="alternatives", zorder=3)
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
        if shows_budget(report) and (budget := report.budget_macs) is not None:
            macs.append(budget)
            axes.axvline(budget, color=MUTED, linewidth=1.1, dashes=(1.5, 2), zorder=1)
            left = budget < (min(macs) + max(macs)) / 2
            axes.annotate(
                f"budget {si(budget)}",
                (budget, 1),
                xycoords=("data", "axes fraction"),
                xytext=(5 if left else -5, -12),
                ha="left" if left else "right",
                **_LABEL,
            )
        scale(axes, "x", macs, si)
        scale(axes, "y", scores, number_text)
        axes.set_xlabel("MACs (papers’ convention)")
        axes.set_ylabel(f"{title} ({report.better[metric]} is better)")
        legend(axes)

    hits = [
        Hit(*point, _figures(report, c)) for point, c in zip(_points(report, candidates), candidates, strict=True)
    ]
    return svg_of(draw, size, f"{title} against MACs of {len(candidates)} candidates", hits)


def shows_budget(report: Report) -> bool:
    """Whether the budget has its line in the plot: not where it is far beyond every candidate."""
    most = max((c.macs for c in report.scored()), default=0)
    return report.budget_macs is not None and report.budget_macs <= 4 * most


def _figures(report: Report, candidate: CandidatePoint) -> str:
    """What hovering over a point says."""
    latency = [] if candidate.latency_ms is None else [f"{number_text(candidate.latency_ms)} ms"]
    scores = [f"{title_of(name)} {number_text(score)}" for name, score in candidate.scores.items()]
    lines = [*["chosen"] * candidate.chosen, f"{si(candidate.macs)} MACs", f"{si(candidate.params)} parameters"]
    return "\n".join([*lines, *latency, *scores, subnet_text(candidate.subnet)])


def latency_svg(report: Report, size: Inches = LOW) -> str:
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
        axes.set_ylabel(f"{title} ({report.better[report.metric]} is better)")
        legend(axes)

    title = title_of(report.metric)
    hits = [Hit(*point, _figures(report, c)) for point, (_, c) in zip(points, timed, strict=True)]
    return svg_of(draw, size, f"{title} against the latency of {len(points)} candidates", hits)


def losses_svg(stage: str, curves: Mapping[str, Sequence[tuple[Number, Number]]], size: Inches = LOW) -> str:
    """The losses of one stage: for each name its (step, value) pairs, averaged to what a plot can show."""

    def draw(axes: Axes) -> None:
        values: list[Number] = []
        for i, (name, points) in enumerate((n, p) for n, p in curves.items() if p):
            thinned = _thinned(points)
            values += [value for _, value in thinned]
            axes.plot(
                *zip(*thinned, strict=True), color=LINES[i % len(LINES)], linewidth=1.3, label=loss_title(name)
            )
        scale(axes, "y", values, number_text)
        axes.xaxis.set_major_formatter(lambda step, _: _tick(si(step)))
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        legend(axes)

    return svg_of(draw, size, f"losses of {stage}")


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
    line = int(_LINE * axes.figure.bbox.width / axes.figure.dpi / WIDE[0])
    columns = _columns([len(name) for name in axes.get_legend_handles_labels()[1]], line)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, handletextpad=0.4, columnspacing=1.6)


def _columns(lengths: Sequence[int], line: int) -> int:
    """In how many columns names of these lengths fit in a line above a plot, filled one column after another."""
    for columns in range(min(_COLUMNS, len(lengths)), 1, -1):
        widest = [column.max() for column in np.array_split(lengths, columns)]
        if sum(widest) + _MARK * columns <= line:
            return columns
    return 1


def svg_of(draw: Draw, size: Inches, title: str, hits: Sequence[Hit] = ()) -> str:
    """What `draw` puts on fresh axes of `size` inches: an `<svg>` element as wide as its place."""
    spots: list[str] = []

    def place(axes: Axes) -> None:
        """Where the hits are, in the points of the drawing."""
        for hit in hits:
            x, y = axes.transData.transform((hit.x, hit.y)) / axes.figure.dpi * 72
            text = escape(hit.text)
            spots.append(
                f'<circle class="hit" cx="{x:.1f}" cy="{72 * size[1] - y:.1f}" r="9"><title>{text}</title></circle>'
            )

    svg = _inline(drawn(draw, size, title, "svg", after=place, transparent=True).decode(), title)
    return svg.removesuffix("</svg>") + "".join(spots) + "</svg>"


def drawn(
    draw: Draw,
    size: Inches,
    title: str,
    kind: Literal["svg", "png"],
    *,
    after: Draw = lambda axes: None,
    **settings: Any,
) -> bytes:
    """What `draw` puts on fresh axes of `size` inches, as a file; `settings` are those of matplotlib's savefig.

    `after` sees the axes when everything has its place.
    """
    # "default" shuts out the settings of the machine; the salt makes ids repeat, and differ between plots.
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": f"{title} {size}"}]):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        buffer = io.BytesIO()
        silent = ("Creator", "Date", "Format", "Type") if kind == "svg" else ("Software",)
        figure.savefig(buffer, format=kind, metadata=dict.fromkeys(silent), **settings)
        after(axes)
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
