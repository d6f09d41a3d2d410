"""The plot of a study: every series with its 95 % intervals, against MACs, places or evaluations."""

import math
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from pocketgan.report.plot import LINES, Draw, drawn, legend, scale, svg_of
from pocketgan.report.study import Curve, StudyPoint, StudyReport
from pocketgan.units import Number, number_text, si

SIZE = (10.5, 5.2)
#: points between two series at one place
_APART = 5
_DASHES = ("-", "--", ":")
#: characters in a line of a name below the axis
_COLUMN = 14


def study_svg(report: StudyReport) -> str:
    """The plot as an `<svg>` element for inlining."""
    return svg_of(_plot(report), SIZE, _title(report))


def study_pictures(report: StudyReport) -> dict[str, bytes]:
    """The plot as files: `study.svg` and `study.png`, on white."""
    svg, png = _plot(report), _plot(report)
    return {
        "study.svg": drawn(svg, SIZE, _title(report), "svg", facecolor="white"),
        "study.png": drawn(png, SIZE, _title(report), "png", facecolor="white", dpi=150),
    }


def _title(report: StudyReport) -> str:
    return f"{report.metric} of study {report.name}"


def _plot(report: StudyReport) -> Draw:
    def draw(axes: Axes) -> None:
        (_draw_curves if report.curves else _draw_points)(report, axes)
        axes.set_ylabel(f"{report.metric} ({report.better[report.metric]} is better)")
        if axes.get_legend_handles_labels()[0]:
            legend(axes)

    return draw


def _draw_points(report: StudyReport, axes: Axes) -> None:
    """A dot a place with its interval, joined to a line; small dots are the seeds. Series stand a little apart, so
    that intervals at one place do not hide each other; where there is one place alone, they stand in its stead."""
    metric, by_macs = report.metric, report.axis == "macs"
    alone = not by_macs and len(report.places) == 1
    names = report.series if alone else report.places

    def position(point: StudyPoint) -> Number:
        return point.mean("macs") if by_macs else names.index(point.series if alone else point.place)

    heights: list[Number] = []
    places: list[Number] = []
    for number, series in enumerate(report.series):
        points = [p for p in report.points if p.series == series and math.isfinite(p.scores[metric])]
        points.sort(key=position)
        if not points:
            continue
        x = [position(p) for p in points]
        ends = [_finite(p, metric) for p in points]
        color, style = LINES[number % len(LINES)], _DASHES[number // len(LINES) % len(_DASHES)]
        apart = 0 if alone else (number - (len(report.series) - 1) / 2) * (_APART if by_macs else 2 * _APART)
        shared: dict[str, Any] = dict(
            color=color, transform=offset_copy(axes.transData, axes.get_figure(root=True), x=apart, units="points")
        )
        axes.plot(
            x,
            [p.scores[metric] for p in points],
            f"o{style}",
            linewidth=1.4,
            label=None if alone else series,
            zorder=3,
            **shared,
        )
        axes.vlines(x, *zip(*ends, strict=True), linewidth=1.4, zorder=3, **shared)
        for place, point, both in zip(x, points, ends, strict=True):
            members = [m.scores[metric] for m in point.members if math.isfinite(m.scores[metric])]
            axes.plot([place] * len(members), members, "o", markersize=3.5, alpha=0.45, zorder=2, **shared)
            # what stands apart by a transform does not tell the axes where it is
            axes.update_datalim([(place, height) for height in (*members, *both)])
            heights += [*members, *both]
        places += x
    if by_macs:
        scale(axes, "x", places, si)
        axes.set_xlabel("MACs (papers’ convention)")
    else:
        axes.set_xticks(range(len(names)), [fill(name, _COLUMN) for name in names])
    axes.margins(x=0.06 if by_macs or alone else 0.25)
    scale(axes, "y", heights, number_text)
    axes.autoscale_view()


def _draw_curves(report: StudyReport, axes: Axes) -> None:
    """The mean of the best score after each evaluation, within its band; of an exhaustive search its end."""
    heights: list[Number] = []
    for number, curve in enumerate(report.curves):
        color, style = LINES[number % len(LINES)], _DASHES[number // len(LINES) % len(_DASHES)]
        if curve.exhaustive:
            axes.axhline(curve.mean[-1], color=color, linestyle="--", linewidth=1.2, label=_label(report, curve))
            heights.append(curve.mean[-1])
            continue
        shown = [step for step, value in enumerate(curve.mean) if _drawable(value, curve.intervals[step])]
        steps, mean = [step + 1 for step in shown], [curve.mean[step] for step in shown]
        low, high = ([curve.intervals[step][end] for step in shown] for end in (0, 1))
        axes.plot(steps, mean, style, color=color, linewidth=1.6, label=_label(report, curve), zorder=3)
        axes.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0, zorder=2)
        heights += [*low, *high]
    scale(axes, "y", heights, number_text)
    axes.set_xlabel("evaluations")


def _drawable(value: float, interval: tuple[float, float]) -> bool:
    return all(map(math.isfinite, (value, *interval)))


def _label(report: StudyReport, curve: Curve) -> str:
    return curve.series if len(report.places) == 1 else f"{curve.series}, {curve.place}"


def _finite(point: StudyPoint, metric: str) -> tuple[float, float]:
    """The interval, as far as it can be drawn."""
    low, high = point.intervals[metric]
    value = point.scores[metric]
    return (low if math.isfinite(low) else value), (high if math.isfinite(high) else value)
