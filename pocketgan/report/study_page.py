"""A study on disk: `study.html` that needs no network, `study.json`, `study.md`, and the plot as a picture."""

from pathlib import Path

from markupsafe import Markup

from pocketgan.report.page import template, write_together
from pocketgan.report.study import StudyReport
from pocketgan.report.study_plot import study_pictures, study_svg
from pocketgan.report.study_table import claims, figures, markdown, seeds_text, summary

TONES = {"seen": "better", "not seen": "worse"}


def write_study(folder: Path, report: StudyReport) -> Path:
    """Writes the study in `folder`, all files or none, and returns the path of the page.

    Raises `OutputError` when the folder cannot be written.
    """
    texts = {
        "study.json": report.model_dump_json(indent=1) + "\n",
        "study.md": markdown(report),
        "study.html": render_study(report),
    }
    write_together(folder, {**{name: text.encode() for name, text in texts.items()}, **study_pictures(report)})
    return folder / "study.html"


def render_study(report: StudyReport) -> str:
    """The HTML that `write_study` writes; the same input gives the same bytes."""
    return template("study.html.j2").render(
        report=report,
        plot=Markup(study_svg(report)),
        summary=summary(report),
        seeds=seeds_text(report),
        claims=claims(report),
        figures=figures(report),
        tones=TONES,
    )
