import re
import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.figure import Figure

from pocketgan.report.plot import NARROW, latency_svg, legend, losses_svg, pareto_svg

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_pareto_names_what_it_shows(report):
    shown = texts(pareto_svg(report))
    for text in (
        "scored subnets",
        "alternatives",
        "chosen",
        "teacher 40.3",
        "budget 4.60 G",
        "fd (lower is better)",
    ):
        assert text in shown


def test_pointing_at_a_candidate_tells_its_figures(report):
    hits = [node[0].text for node in ElementTree.fromstring(pareto_svg(report)).iter(f"{SVG}circle")]
    assert len(hits) == len(report.scored())
    assert hits[2] == "chosen\n4.50 G MACs\n4.50 M parameters\nfd 45.0\n32 to 48 channels, 37.3 on average"


def test_hits_lie_on_their_points(report):
    """The marks of the front are drawn where its hits are."""
    svg = ElementTree.fromstring(pareto_svg(report, NARROW))
    hits = {(float(node.get("cx")), float(node.get("cy"))) for node in svg.iter(f"{SVG}circle")}
    marks = {(float(node.get("x")), float(node.get("y"))) for node in svg.iter(f"{SVG}use") if node.get("x")}
    for x, y in hits:
        assert min(abs(x - u) + abs(y - v) for u, v in marks) < 0.2


def test_a_budget_far_beyond_all_candidates_is_left_out(report):
    far = report.model_copy(update={"budget_macs": 10**12})
    assert not any(text.startswith("budget") for text in texts(pareto_svg(far)))


def test_references_are_drawn_only_when_given(report):
    bare = report.model_copy(update={"teacher_on_selection": None, "budget_macs": None})
    shown = " ".join(texts(pareto_svg(bare)))
    assert "teacher" not in shown
    assert "budget 4" not in shown


def test_only_finite_candidates_are_drawn(report):
    axis = ElementTree.fromstring(pareto_svg(report))
    drawn = len(list(axis.iter(f"{SVG}use")))
    without = report.model_copy(update={"candidates": report.candidates[:4]})
    assert drawn == len(list(ElementTree.fromstring(pareto_svg(without)).iter(f"{SVG}use")))


def test_measured_latencies(report):
    """The plot shows those candidates that were measured, and no others."""
    times = {"24_16_16": 20.0, "32_32_48": 45.0, "64_64_64": 90.0}
    candidates = [c.model_copy(update={"latency_ms": times.get(c.subnet)}) for c in report.candidates]
    svg = latency_svg(report.model_copy(update={"candidates": tuple(candidates)}))
    assert 'aria-label="fd against the latency of 3 candidates"' in svg
    assert {"milliseconds an image", "fd (lower is better)", "front", "chosen"} <= set(texts(svg))


def test_a_wide_span_makes_the_axis_logarithmic(report):
    narrow = report.model_copy(update={"candidates": report.candidates[:3]})
    assert "1.5 G" in texts(pareto_svg(narrow)) or "3 G" in texts(pareto_svg(narrow))
    tiny = report.candidates[0].model_copy(update={"macs": 1_000_000})
    wide = report.model_copy(update={"candidates": (*report.candidates, tiny)})
    assert {"1 M", "10 M", "100 M", "1 G"} <= set(texts(pareto_svg(wide)))


def test_same_input_same_bytes_and_unique_ids(report):
    first = pareto_svg(report)
    assert first == pareto_svg(report)
    both = first + losses_svg("teacher", {"total": [(0, 3.0), (10, 1.0)]})
    ids = re.findall(r' id="([^"]*)"', both)
    assert ids
    assert len(ids) == len(set(ids))


def test_a_name_is_text_not_markup(report):
    odd = '<b>$x^2$ & "y"</b>'
    one = report.candidates[0].model_copy(update={"scores": {odd: 1.0}})
    renamed = report.model_copy(update={"metric": odd, "better": {odd: "lower"}, "candidates": (one,)})
    assert f"{odd} (lower is better)" in texts(pareto_svg(renamed))


def test_long_curves_are_thinned_but_keep_their_level():
    few, many = (losses_svg("s", {"total": [(i, 2.0) for i in range(n)]}) for n in (240, 24_000))
    assert len(many) < 2 * len(few)


@pytest.mark.parametrize(
    ("names", "lines"),
    [(["from scratch"] * 3, 1), (["from scratch"] * 6, 1), (["a name of many letters, as is"] * 6, 2)],
)
def test_a_legend_is_never_wider_than_its_plot(names, lines):
    figure = Figure(figsize=(10.5, 5.2), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(names):
        axes.plot([0, 1], [number, number], "o-", label=f"{name}{number}")
    legend(axes)
    figure.draw_without_rendering()
    box, plot = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert box.width < plot.width
    assert plot.width > 0.85 * figure.bbox.width, "the plot keeps its place"
    assert len({round(text.get_window_extent().y0) for text in axes.get_legend().get_texts()}) == lines
