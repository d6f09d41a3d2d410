import base64
import hashlib
import io
import re
import shlex
from html.parser import HTMLParser

import numpy as np
import pytest
import typer
from PIL import Image

from pocketgan import cli
from pocketgan.demo.server import LOOPBACK, PORT
from pocketgan.errors import OutputError
from pocketgan.report import Report, write_report
from pocketgan.report import page as page_module
from pocketgan.report.comparison import lines
from pocketgan.report.effort import gains, next_steps
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


def test_needs_no_network_and_runs_its_own_script_alone(report, grids):
    html = render(report, grids, loss_curves=CURVES)
    page = Page(html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(page.all("script")) == 1
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
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
    assert f"script-src 'sha256-{digest}';" in policy


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
    assert len(page.all("script")) == 1
    assert html.count("<script") == 1
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
    assert "against the latency of" not in before
    timed = [c.model_copy(update={"latency_ms": 12.3 if c.chosen else None}) for c in report.candidates]
    page = render(
        report.model_copy(update={"candidates": tuple(timed), "latencies_on": "Runtime 1, Some CPU"}), grids
    )
    assert page.count("12.3 ms</td>") == 1
    assert "in turns, on Runtime 1, Some CPU" in page
    assert page.count("against the latency of 1 candidates") == 2
    old = report.model_dump(mode="json", exclude={"latencies_on": True, "candidates": {"__all__": {"latency_ms"}}})
    assert Report.model_validate(old).model_dump(mode="json") == report.model_dump(mode="json")


def words(report: Report, **more) -> str:
    return " ".join(Page(render(report, [], **more)).text.split())


def test_labels_are_words(report):
    """No name of a metric or of widths stands alone where people read."""
    metric = "fd_mobilenet_v2"
    scored = [
        c.model_copy(update={"scores": dict.fromkeys([metric][: len(c.scores)], c.scores.get("fd"))})
        for c in report.candidates
    ]
    rows = [row.model_copy(update={"scores": {metric: row.scores["fd"]}}) for row in report.rows]
    named = {"metric": metric, "better": {metric: "lower"}, "candidates": tuple(scored), "rows": tuple(rows)}
    told = words(report.model_copy(update=named), loss_curves={"teacher": {"G_recon": [(0, 1.0), (1, 2.0)]}})
    assert "Fréchet distance (MobileNetV2) 41.2 vs 39.8" in told
    assert "32 to 48 channels, 37.3 on average" in told
    assert "reconstruction" in told
    assert "G_recon" not in told
    assert told.count(metric) == 1, "where the scores are explained"


def test_the_plot_and_the_headline_are_reconciled(report):
    """Two figures of one network on one page: the page says why."""
    told = words(report)
    assert (
        "The chosen subnet is at 45.0 here and at 41.2 in the headline. Both are right: here it was scored on 66 "
        "select images; the headline is of 133 test images. Compare figures within one of them."
    ) in told
    tuned = words(report.model_copy(update={"tuned": True}))
    assert (
        "66 select images, before it was trained further; the headline is of 133 test images, after that" in tuned
    )


def test_a_verdict_on_few_images_is_withheld(report):
    metric = "fd_mobilenet_v2"
    task = report.task.model_copy(update={"counts": {"train": 9, "select": 3, "test": 8}})
    rows = [
        row.model_copy(update={"scores": {metric: row.scores["fd"], "l1": 0.1 / row.params}}) for row in report.rows
    ]
    few = {"metric": metric, "better": {metric: "lower", "l1": "lower"}, "rows": tuple(rows), "task": task}
    few |= {"candidates": (), "differences": {metric: (-9.0, -8.0), "l1": (1.0, 2.0)}}
    shown = report.model_copy(update=few)
    assert "no verdict: 8 images are too few" in words(shown)
    assert "vs 39.8 (no verdict: 8 images are too few)." in words(shown), "in the headline too"
    changes = {line.title: line.change for line in lines(shown, shown.rows)}
    assert (changes["Fréchet distance (MobileNetV2)"].tone, changes["L1 difference"].tone) == ("", "worse")


def test_what_more_effort_would_gain(report):
    falling = {"G_recon": [(i, 10 - i / 10) for i in range(40)], "G_gan": [(i, 90.0 - i) for i in range(40)]}
    level = {"G_recon": [(i, 5.0) for i in range(40)]}
    found = dict(gains(report, {"teacher": falling, "fine-tuning": level, "short": {"G_recon": [(0, 1.0)]}}))
    assert found["A longer teacher"].startswith("Still learning: its reconstruction loss fell by 13.2%")
    assert found["A longer fine-tuning"].startswith("Levelled out: its reconstruction loss changed by -0.0%")
    assert "too few times" in found["A longer short"]
    assert "improved the best fd from 80.0 to 41.0" in found["A longer search"]
    assert "from 4.50 G to 9.00 G MACs, took fd from 45.0 to 41.0" in found["A larger budget"]
    assert "first the gap to this one is to be closed" in found["A better teacher"]
    assert all(
        finding in words(report, loss_curves={"teacher": falling}) for finding in found.values() if "fd" in finding
    )


def test_next_steps_are_commands(report):
    assert next_steps(report) == []
    steps = [step.command for step in next_steps(report.model_copy(update={"run": "runs/my run"}))]
    assert steps[0] == "pocketgan demo 'runs/my run'"
    assert "pocketgan pick 'runs/my run' --budget 1000M" in steps
    assert steps[-1] == "pocketgan plan nuclei --budget 4.6G --effort standard --out 'runs/my run-standard'"
    longest = report.model_copy(
        update={"run": "a", "command": "pocketgan compress nuclei --effort paper --budget 1G"}
    )
    assert not any("plan" in step.command for step in next_steps(longest))
    verbs = typer.main.get_command(cli.app).commands
    for command in steps:
        verb, *rest = shlex.split(command)[1:]
        verbs[verb].make_context(verb, rest)


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(browser, report, grids, tmp_path, width):
    """Nothing is wider than the page; figures, curtain and zoom answer."""
    curves = {"teacher": {"G_recon": [(i, 2.0) for i in range(50)]}}
    page = write_report(tmp_path, report.model_copy(update={"run": "runs/nuclei"}), grids, loss_curves=curves)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(page.as_uri())
        run = browser.execute_script
        run("for (const each of document.querySelectorAll('details')) each.open = true")
        assert run("return document.documentElement.scrollWidth <= innerWidth")
        shown = "[...document.querySelectorAll('main td, main th, .plot, img')].filter(e => e.offsetWidth)"
        beyond = "e => e.getBoundingClientRect().right > innerWidth || e.scrollWidth > e.clientWidth + 1"
        assert run(f"return {shown}.filter({beyond}).map(e => e.outerHTML)") == []
        assert len(run("return [...document.querySelectorAll('.plot')].filter(e => e.offsetWidth)")) == 2
        run("[...document.querySelectorAll('.hit')].find(e => e.getBoundingClientRect().width).focus()")
        assert "1.00 G MACs" in run("return document.querySelector('.tip').innerText")
        run("document.querySelector('.shots img').click()")
        assert run("return document.querySelector('dialog').open")
        over = "document.querySelector('.pair img:nth-child(2)')"
        assert run(f"return {over}.style.clipPath") == "inset(0px 50% 0px 0px)"
        run("const c = document.querySelector('dialog input'); c.value = 20; c.dispatchEvent(new Event('input'))")
        assert run(f"return {over}.style.clipPath") == "inset(0px 80% 0px 0px)"
        before = run("return document.querySelector('.pair').offsetWidth")
        run("document.querySelector('[aria-label=Larger]').click()")
        assert run("return document.querySelector('.pair').offsetWidth") == pytest.approx(2 * before, abs=2)
        run("document.querySelector('[aria-label=\"The next row\"]').click()")
        assert run("return document.querySelector('.tools b').innerText") == "two"
        loud = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
        assert loud == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
