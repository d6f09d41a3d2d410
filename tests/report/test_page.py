import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pocketgan.demo.server import LOOPBACK, PORT
from pocketgan.errors import OutputError
from pocketgan.report import Report, write_report
from pocketgan.report import page as page_module
from pocketgan.report.page import render

CURVES = {"teacher": {"total": [(0.0, 3.0), (10.0, 1.0)]}}


class Page(HTMLParser):
    """What a browser would see: the tags, and the text outside style."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_writes_both_files_and_nothing_else(tmp_path, report, grids):
    page = write_report(tmp_path / "run", report, grids, loss_curves=CURVES)
    assert page == tmp_path / "run" / "report.html"
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.json"]
    again = Report.model_validate_json((page.parent / "report.json").read_text(encoding="utf-8"))
    assert again.rows == report.rows
    assert page.read_text(encoding="utf-8") == render(again, grids, loss_curves=CURVES)


def test_shows_the_rows_with_units(report, grids):
    text = Page(render(report, grids)).text
    for figure in (
        "56.8 G",
        "4.61 G",
        "3.06 G",
        "357 k",
        "1.4 MB",
        "985 ms",
        "39.3 to 43.0",
        "↓ lower is better",
    ):
        assert figure in text
    for fact in ("a81f03c5d2e9", "77be01c9930d", "32_32_48", "1 h 30 min", "465 train", "Some CPU, 2 cores"):
        assert fact in text
    assert "selection on select, figures on test" in " ".join(text.split())


def test_images_are_exact_and_described(report, grids):
    images = Page(render(report, grids)).all("img")
    assert [image["alt"] for image in images[:4]] == [f"one: {column}" for column in grids[0].images]
    for image, expected in zip(images, [i for row in grids for i in row.images.values()], strict=True):
        kind, data = image["src"].split(",")
        assert kind == "data:image/webp;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        np.testing.assert_array_equal(pixels, expected)
        assert image["loading"] == "lazy"


def test_needs_no_network_and_runs_no_script(report, grids):
    html = render(report, grids, loss_curves=CURVES)
    page = Page(html)
    assert not page.all("script")
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            # one link leads out: to the page of `pocketgan demo` on this computer
            assert (attrs.get(name) or "#").startswith(("#", "data:", f"http://{LOOPBACK}:{PORT}/"))
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert set(re.findall(r"https?://[^\"'<> ]*", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        f"http://{LOOPBACK}:{PORT}/",
    }
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_every_name_is_escaped(report, grids):
    odd = "<script>alert('1')</script>"
    row = report.rows[0].model_copy(update={"name": odd, "subnet": odd, "latency_runtime": odd})
    task = report.task.model_copy(update={"name": odd, "counts": {odd: 3}})
    report = report.model_copy(
        update={
            "title": odd,
            "command": odd,
            "notes": (odd,),
            "rows": (row, *report.rows[1:]),
            "task": task,
            "versions": {odd: odd},
        }
    )
    grid = page_module.ImageRow(name=odd, caption=odd, section=odd, images={odd: grids[0].images["Input"]})
    html = render(report, [grid], loss_curves={odd: {odd: [(0.0, 1.0), (1.0, 2.0)]}})
    page = Page(html)
    assert not page.all("script")
    assert "<script" not in html
    assert page.text.count(odd) > 10


def test_same_input_same_bytes(report, grids):
    assert render(report, grids, loss_curves=CURVES) == render(report, grids, loss_curves=CURVES)


def test_a_report_without_optional_parts(report):
    bare = report.model_copy(update={"candidates": (), "stages": (), "notes": (), "rows": report.rows[1:]})
    page = Page(render(bare, []))
    assert not page.all("svg")
    assert "What the budget buys" not in page.text


def test_failure_leaves_the_old_report_alone(tmp_path, report, grids, monkeypatch):
    write_report(tmp_path, report, grids)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    write_bytes = page_module.Path.write_bytes

    def full_disk(path, content):
        if content.startswith(b"<"):
            write_bytes(path, content[:100])
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(page_module.Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match="No space left on device") as refusal:
        write_report(tmp_path, report.model_copy(update={"seed": 8}), grids)
    assert "\n" not in str(refusal.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_file_in_the_way_is_reported(tmp_path, report):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputError, match="the report cannot be written to"):
        write_report(tmp_path / "run", report, [])
    assert (tmp_path / "run").read_text() == "mine"


def test_measured_latencies_stand_in_the_front(report, grids):
    """A column and a plot of their own, where there are any; the reports of before have none."""
    before = render(report, grids)
    assert "Latency</th>" not in before
    assert "Plot of measured latencies" not in before
    timed = [c.model_copy(update={"latency_ms": 12.3 if c.chosen else None}) for c in report.candidates]
    page = render(
        report.model_copy(update={"candidates": tuple(timed), "latencies_on": "Runtime 1, Some CPU"}), grids
    )
    assert page.count("12.3 ms") == 1
    assert "in turns, on Runtime 1, Some CPU" in page
    assert "Plot of measured latencies" in page
    old = report.model_dump(mode="json", exclude={"latencies_on": True, "candidates": {"__all__": {"latency_ms"}}})
    assert Report.model_validate(old).model_dump(mode="json") == report.model_dump(mode="json")
