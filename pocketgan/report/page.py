"""The page: one HTML file that needs no network, written together with `report.json`."""

import io
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import jinja2
import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup
from PIL import Image

from pocketgan import units
from pocketgan.errors import OutputError
from pocketgan.files import replacing
from pocketgan.metrics.catalog import METRICS
from pocketgan.metrics.titles import title_of
from pocketgan.report import comparison
from pocketgan.report.effort import gains, next_steps
from pocketgan.report.model import Report
from pocketgan.report.plot import LOW, NARROW, WIDE, Inches, latency_svg, losses_svg, pareto_svg, shows_budget

Curves = Mapping[str, Mapping[str, Sequence[tuple[units.Number, units.Number]]]]


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One line of an image grid.

    Attributes:
        name: of the image.
        caption: shown beside the name, e.g. its score.
        section: heading of the grid that it belongs to, e.g. `Test images` or `Worst cases`.
        images: by column title, in order, e.g. input, teacher, compressed, ground truth; all rows of one
            section have the same columns.
    """

    name: str
    caption: str = ""
    section: str
    images: Mapping[str, UInt8[np.ndarray, "height width 3"]]


def write_report(
    folder: Path, report: Report, grids: Sequence[ImageRow], *, loss_curves: Curves | None = None
) -> Path:
    """Writes `report.json` and `report.html` in `folder`, and returns the path of the page.

    Both are complete before either takes its name; a failure leaves what was there before.

    Args:
        grids: the pictures; rows of one section follow each other.
        loss_curves: by stage, by name of the loss: (step, value) pairs.

    Raises:
        OutputError: the folder cannot be written.
    """
    texts = {
        "report.json": report.model_dump_json(indent=2) + "\n",
        "report.html": render(report, grids, loss_curves=loss_curves),
    }
    write_together(folder, {name: text.encode() for name, text in texts.items()})
    return folder / "report.html"


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files of a report; all are complete before any takes its name. Raises `OutputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            parts = {name: stack.enter_context(replacing(folder / name)) for name in files}
            for name, content in files.items():
                parts[name].write_bytes(content)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"the report cannot be written to '{folder}' ({reason}); choose a folder that can be written"
        ) from error


def template(name: str) -> jinja2.Template:
    """A template of a page, with the filters that write figures."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pocketgan.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "si": units.si,
        "number": units.number_text,
        "size": units.size_text,
        "duration": units.duration_text,
        "data_url": _data_url,
        "title_of": title_of,
        "subnet": comparison.subnet_text,
    }
    return environment.get_template(name)


def render(report: Report, grids: Sequence[ImageRow], *, loss_curves: Curves | None = None) -> str:
    """The HTML that `write_report` writes; the same input gives the same bytes."""
    curves, environment = loss_curves or {}, template("template.html.j2")
    # the page may run this very text, and nothing else
    script = (files("pocketgan.report") / "page.js").read_text(encoding="utf-8")
    return environment.render(
        report=report,
        script=Markup(script),
        script_digest=b64encode(sha256(script.encode()).digest()).decode(),
        tiles=comparison.tiles(report),
        guard=comparison.guard_text(report),
        lines=comparison.lines(report, report.rows),
        pareto=_at_both_widths(partial(pareto_svg, report), WIDE) if report.scored() else None,
        shows_budget=shows_budget(report),
        chosen=next((point for point in report.scored() if point.chosen), None),
        front=report.front(),
        latency=_at_both_widths(partial(latency_svg, report), LOW)
        if any(c.latency_ms is not None for c in report.scored())
        else None,
        sections=[(title, list(rows)) for title, rows in groupby(grids, key=lambda row: row.section)],
        losses=[
            (stage, _at_both_widths(partial(losses_svg, stage, own), LOW))
            for stage, own in curves.items()
            if any(len(points) > 1 for points in own.values())
        ],
        gains=gains(report, curves),
        steps=next_steps(report),
        meanings={name: METRICS[name].description for name in report.better if name in METRICS},
        seconds=sum(stage.seconds for stage in report.stages),
    )


def _at_both_widths(plot: Callable[[Inches], str], wide: Inches) -> Markup:
    """A plot drawn for a page of usual width and for a phone's; the page shows that which fits."""
    shown = (("wide", wide), ("narrow", NARROW))
    return Markup("".join(f'<div class="plot {name}">{plot(size)}</div>' for name, size in shown))


def _data_url(image: UInt8[np.ndarray, "height width 3"]) -> str:
    """The exact pixels as lossless WebP, about a third smaller than PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="WEBP", lossless=True, method=6)
    return "data:image/webp;base64," + b64encode(buffer.getvalue()).decode("ascii")
