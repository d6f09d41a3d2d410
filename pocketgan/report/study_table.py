"""A study's figures as lines of text: for the page, for Markdown, and for the terminal."""

from __future__ import annotations

import math
from statistics import median
from typing import NamedTuple

from pocketgan.report.study import Curve, StudyReport, Verdict
from pocketgan.units import duration_text, number_text, si

#: how far from the best of all a search is close to it, as a share
NEAR = 0.01


class Table(NamedTuple):
    """Column titles, and lines of as many cells."""

    columns: list[str]
    lines: list[list[str]]


def figures(report: StudyReport) -> Table:
    """A line a contestant: its costs, its processor time, its scores with 95 % intervals; means over the seeds."""
    if report.curves:
        return _searches(report)
    metrics = list(dict.fromkeys([report.metric, *(name for point in report.points for name in point.scores)]))
    return Table(
        ["series", "place", "MACs", "parameters", "processor time", *metrics],
        [
            [
                point.series,
                point.place,
                si(point.mean("macs")),
                si(point.mean("params")),
                duration_text(point.mean("processor_seconds")),
                *(score_text(point.scores[name], point.intervals[name]) for name in metrics),
            ]
            for point in report.points
        ],
    )


def _searches(report: StudyReport) -> Table:
    """A line a strategy; with an exhaustive search beside it, how soon it came close to the best of all."""
    known = any(curve.exhaustive for curve in report.curves)
    near = ["evaluations until 1 % from the best of all"] if known else []
    lines = []
    for curve in report.curves:
        counts = sorted({len(member.best) for member in curve.members})
        lines.append(
            [
                curve.series,
                curve.place,
                "–".join(map(str, dict.fromkeys((counts[0], counts[-1])))),
                duration_text(sum(m.processor_seconds for m in curve.members) / len(curve.members)),
                score_text(curve.mean[-1], curve.intervals[-1]),
                *([_until_near(report, curve)] if known else []),
            ]
        )
    return Table(["series", "place", "evaluations", "processor time", f"best {report.metric}", *near], lines)


def _until_near(report: StudyReport, curve: Curve) -> str:
    """The median over the seeds."""
    best = {
        member.seed: member.best[-1]
        for each in report.curves
        if each.exhaustive and each.place == curve.place
        for member in each.members
    }
    needed = [
        next((step for step, score in enumerate(member.best, 1) if abs(score - goal) <= NEAR * abs(goal)), math.inf)
        for member in curve.members
        if (goal := best.get(member.seed)) is not None
    ]
    if not needed:
        return "–"
    middle = median(needed)
    return "not reached" if math.isinf(middle) else f"{middle:g}"


def claims(report: StudyReport) -> Table:
    """A line for each claim and place, by the metric of the plot, with what the other metrics say."""
    others = list(dict.fromkeys(v.metric for v in report.verdicts if v.metric != report.metric))
    by_case = {(v.better, v.worse, v.place, v.metric): v for v in report.verdicts}
    lines = []
    for verdict in report.headlines:
        told = [by_case.get((verdict.better, verdict.worse, verdict.place, name)) for name in others]
        lines.append(
            [
                f"{verdict.better} better than {verdict.worse}",
                verdict.place,
                verdict.outcome,
                difference_text(verdict),
                f"{verdict.seeds_for} of {verdict.seeds}",
                *("–" if each is None else each.outcome for each in told),
            ]
        )
    return Table(["claim", "place", "verdict", f"difference in {report.metric}", "seeds", *others], lines)


def summary(report: StudyReport) -> str:
    """Whether the paper's ordering was seen, in one sentence."""
    outcomes = [verdict.outcome for verdict in report.headlines]
    if not outcomes:
        return "There is no claim to judge."
    seen, against, noise = (outcomes.count(o) for o in ("seen", "not seen", "may be noise"))
    return (
        f"By {report.metric} over {seeds_text(report)}, {seen} of {len(outcomes)} claims of the source were seen, "
        f"{against} were seen the other way round, and {noise} may be noise."
    )


def markdown(report: StudyReport) -> str:
    """The whole study as Markdown: what was asked, the verdicts, the figures."""
    parts = [
        f"### Study: {report.name}",
        f"{report.about} Source: {report.source}.",
        f"{report.task.name}, {report.task.size[0]}x{report.task.size[1]} pixels, {seeds_text(report)}, "
        f"{report.seconds:g} s of processor time for each contestant; means over seeds with 95 % intervals, on the "
        f"{'selection' if report.curves else 'test'} split.",
        f"**{summary(report)}**",
        markdown_table(claims(report)) if report.headlines else "",
        "![plot](study.png)",
        markdown_table(figures(report)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_table(table: Table) -> str:
    rows = [table.columns, ["---"] * len(table.columns), *table.lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def score_text(score: float, interval: tuple[float, float]) -> str:
    return f"{number_text(score)} [{number_text(interval[0])}, {number_text(interval[1])}]"


def difference_text(verdict: Verdict) -> str:
    """Signed, with its interval."""
    return f"{_signed(verdict.difference)} [{', '.join(map(_signed, verdict.interval))}]"


def seeds_text(report: StudyReport) -> str:
    return f"{len(report.seeds)} {'seed' if len(report.seeds) == 1 else 'seeds'}"


def _signed(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{'−' if value < 0 else '+'}{number_text(abs(value))}"
