"""Rows side by side: the lines of the page's tables, and the figures of its headline."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from pocketgan.metrics.titles import title_of
from pocketgan.report.model import Report, Row
from pocketgan.units import Number, bytes_text, number_text, ratio_text, si

Tone = Literal["better", "worse", ""]


class Cost(NamedTuple):
    """A quantity of `Row` that is better lower, and the words for a change of it."""

    field: str
    title: str
    hint: str
    text: Callable[[Number], str]
    less: str
    more: str
    noun: str = ""

    def of(self, row: Row) -> Number | None:
        """The quantity of `row`, where it was measured."""
        value: Number | None = getattr(row, self.field)
        return value

    def change(self, before: Row, after: Row) -> tuple[str, str, Tone] | None:
        """Factor, word and tone of the step between two rows; None where they are equal or not comparable."""
        old, new = self.of(before), self.of(after)
        if not old or not new or old == new:
            return None
        if self is LATENCY and before.latency_runtime != after.latency_runtime:
            return None
        if new < old:
            return ratio_text(old / new), self.less, "better"
        return ratio_text(new / old), self.more, "worse"


MACS = Cost("macs", "MACs", "papers’ convention", si, "fewer", "more", " MACs")
TRUE_MACS = Cost("true_macs", "True MACs", "every multiply, counted once", si, "fewer", "more")
PARAMS = Cost("params", "Parameters", "", si, "fewer", "more", " parameters")
SIZE = Cost("size_bytes", "Size on disk", "", bytes_text, "smaller", "larger")
LATENCY = Cost("latency_ms", "Latency", "median, one image", lambda ms: f"{number_text(ms)} ms", "faster", "slower")


class Tile(NamedTuple):
    """One figure of the headline: `12.3×`, `fewer MACs`, `56.8 G → 4.61 G`; and as part of a sentence."""

    figure: str
    meaning: str
    detail: str
    phrase: str


class Cell(NamedTuple):
    """A figure, a remark in small print, and whether it is good news."""

    text: str
    remark: str = ""
    tone: Tone = ""


class Line(NamedTuple):
    """One quantity: a cell for each row, and the change from teacher to compressed where both are there."""

    title: str
    hint: str
    cells: list[Cell]
    change: Cell
    is_score: bool = False


def tiles(report: Report) -> list[Tile]:
    """The headline: what compression saved, and what it did to the score; empty without a teacher."""
    teacher, small = report.first("teacher"), report.first("compressed")
    if teacher is None or small is None:
        return []
    found, published = [], report.first("published")
    for cost in (MACS, PARAMS, LATENCY):
        before = published or teacher
        if change := cost.change(before, small):
            factor, word, _ = change
            where = f" on {small.latency_runtime}" if cost is LATENCY and small.latency_runtime else ""
            where += f" than {published.name}" if published else ""
            meaning = f"{word}{cost.noun}{where}"
            detail = f"{_cost_cell(cost, before).text} → {_cost_cell(cost, small).text}"
            found.append(Tile(factor, meaning, detail, f"{factor} {meaning}"))
    metric = report.metric
    if metric in teacher.scores and metric in small.scores:
        old, after = number_text(teacher.scores[metric]), number_text(small.scores[metric])
        title, change = title_of(metric), _score_change(report, metric, teacher, small)
        detail = f"{teacher.name} {old}, {report.better[metric]} is better; {change.remark or change.text}"
        withheld = "" if report.decides(metric, report.figure_split) else f" ({change.remark})"
        found.append(Tile(after, title, detail, f"{title} {after} vs {old}{withheld}"))
    return found


def lines(report: Report, rows: Sequence[Row]) -> list[Line]:
    """The comparison of `rows`, quantity by quantity; a quantity that nobody measured has no line."""
    teacher, small = report.first("teacher"), report.first("compressed")
    pair = (teacher, small) if teacher and small and teacher in rows and small in rows else None
    costly = pair and (report.first("published") or pair[0], pair[1])
    found = []
    for cost in (MACS, TRUE_MACS, PARAMS, SIZE, LATENCY):
        if any(cost.of(row) is not None for row in rows):
            change = _cost_change(cost, *costly) if costly else Cell("")
            found.append(Line(cost.title, cost.hint, [_cost_cell(cost, row) for row in rows], change))
    for metric, better in report.better.items():
        if any(metric in row.scores for row in rows):
            hint = {"lower": "↓ lower is better", "higher": "↑ higher is better"}[better]
            cells = [Cell(number_text(row.scores.get(metric)), _interval(row, metric)) for row in rows]
            change = _score_change(report, metric, *pair) if pair else Cell("")
            found.append(Line(title_of(metric), hint, cells, change, True))
    return found


def _cost_cell(cost: Cost, row: Row) -> Cell:
    value = cost.of(row)
    return Cell("–" if value is None else cost.text(value), row.latency_runtime if cost is LATENCY else "")


def _cost_change(cost: Cost, teacher: Row, small: Row) -> Cell:
    change = cost.change(teacher, small)
    if change is None:
        return Cell("")
    factor, word, tone = change
    return Cell(f"{factor} {word}", tone=tone)


def _interval(row: Row, metric: str) -> str:
    if metric not in row.intervals:
        return ""
    low, high = map(number_text, row.intervals[metric])
    return f"{low} to {high}"


def guard_text(report: Report) -> str:
    """How the compressed network stands to the same one from scratch; empty where there is no such guard."""
    scratch, small = report.first("scratch"), report.first("compressed")
    if not (scratch and small and report.guard):
        return ""
    told, worse = [], False
    for metric in dict.fromkeys((report.metric, "l1")):
        if metric in scratch.scores and metric in small.scores:
            change = _score_change(report, metric, scratch, small, report.from_scratch)
            worse |= change.tone == "worse"
            own, others = number_text(small.scores[metric]), number_text(scratch.scores[metric])
            words = ", ".join(word for word in (change.text, change.remark) if word)
            told.append(f"{title_of(metric)} {others} to {own} ({words})")
    text = (
        f"From the same network trained from scratch on {report.guard:.0%} as many images to the compressed one: "
    )
    return text + "; ".join(told) + "." + (" Compression cost quality here: train longer." if worse else "")


def _score_change(
    report: Report, metric: str, before: Row, small: Row, intervals: Mapping[str, tuple[float, float]] | None = None
) -> Cell:
    """The difference of two scores; no news, good or bad, where it may be noise. `intervals`: of the differences by
    metric, if other than those to the teacher."""
    difference = small.scores.get(metric, math.nan) - before.scores.get(metric, math.nan)
    if not math.isfinite(difference):
        return Cell("")
    text = f"{'−' if difference < 0 else '+'}{number_text(abs(difference))}"
    if difference == 0:
        return Cell("equal")
    if not report.decides(metric, report.figure_split):
        return Cell(text, f"no verdict: {report.task.counts.get(report.figure_split, 0)} images are too few")
    known = report.differences if intervals is None else intervals
    low, high = known.get(metric, (difference, difference))
    if low <= 0 <= high:
        return Cell(text, "may be noise")
    tone: Tone = "better" if (difference < 0) == (report.better[metric] == "lower") else "worse"
    return Cell(text, f"really {tone}", tone)


def subnet_text(subnet: str) -> str:
    """The numbers of a subnet in words.

    >>> subnet_text("32_32_48_16"), subnet_text("8_8,depth=6,kernel=5")
    ('16 to 48 channels, 32 on average', '8 channels, 6 blocks, kernels of 5')
    """
    numbers, *others = subnet.split(",")
    try:
        widths = [int(number) for number in numbers.split("_")]
    except ValueError:
        return subnet
    low, high = min(widths), max(widths)
    mean = sum(widths) / len(widths)
    words = f"{low} channels" if low == high else f"{low} to {high} channels, {mean:.3g} on average"
    told = {"depth": "{} blocks", "kernel": "kernels of {}"}
    pairs = [other.partition("=") for other in others]
    return ", ".join([words, *(told.get(name, name + " {}").format(value) for name, _, value in pairs)])
