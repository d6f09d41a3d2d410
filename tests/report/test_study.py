"""A study's report: tables, plot, page and files."""

import json
import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime

import pytest

from pocketgan.deploy.machine import Machine
from pocketgan.errors import OutputError
from pocketgan.report.model import TaskSummary
from pocketgan.report.study import Curve, CurveMember, Member, StudyPoint, StudyReport, Verdict, outcome_of
from pocketgan.report.study_page import render_study, write_study
from pocketgan.report.study_plot import study_svg
from pocketgan.report.study_table import claims, figures, markdown, summary

SVG = "{http://www.w3.org/2000/svg}"


def point(series: str, place: str, macs: int, *fds: float) -> StudyPoint:
    members = tuple(
        Member(
            seed=seed,
            params=macs // 1000,
            macs=macs + seed,
            true_macs=macs // 2,
            scores={"fd": fd, "ssim": 0.5},
            processor_seconds=100.0 + seed,
            subnet="8_8",
            digest=f"{series}{place}{seed}",
        )
        for seed, fd in enumerate(fds)
    )
    mean = sum(fds) / len(fds)
    return StudyPoint(
        series=series,
        place=place,
        scores={"fd": mean, "ssim": 0.5},
        intervals={"fd": (mean - 10, mean + 12), "ssim": (0.4, 0.6)},
        members=members,
    )


def verdict(place: str, outcome: str, metric: str = "fd") -> Verdict:
    return Verdict(
        better="taught",
        worse="alone",
        place=place,
        metric=metric,
        difference=-5.0,
        interval=(-9.0, 1.0),
        outcome=outcome,
        seeds_for=1,
        seeds=2,
    )


@pytest.fixture
def study() -> StudyReport:
    return StudyReport(
        name="teaching",
        about="Does a teacher help?",
        source="a paper",
        command="pocketgan study teaching <data>",
        task=TaskSummary(
            name="nuclei", digest="3f9a", layout="folders", direction="AtoB", size=(64, 64), counts={"train": 7}
        ),
        axis="macs",
        metric="fd",
        better={"fd": "lower", "ssim": "higher"},
        seeds=(0, 1),
        seconds=150,
        points=(
            point("alone", "3 %", 30_000_000, 60.0, 62.0),
            point("alone", "1 %", 10_000_000, 80.0, 84.0),
            point("taught", "3 %", 30_000_000, 50.0, 54.0),
            point("taught", "1 %", 10_000_000, 70.0, 78.0),
        ),
        verdicts=(
            verdict("3 %", "seen"),
            verdict("3 %", "not seen", "ssim"),
            verdict("1 %", "may be noise"),
            verdict("1 %", "seen", "ssim"),
        ),
        settings={"seconds": 150},
        pace={"student": 0.0431},
        notes=("a note",),
        versions={"torch": "2.11"},
        machine=Machine(cpu="Some CPU", cores=2),
        date=datetime(2026, 1, 2, tzinfo=UTC),
    )


@pytest.fixture
def searches(study) -> StudyReport:
    members = (CurveMember(seed=0, best=(float("inf"), 70.0, 60.0), processor_seconds=9, digest="d"),)
    curve = Curve(
        series="random",
        place="all",
        mean=(float("inf"), 70.0, 60.0),
        intervals=((float("inf"), float("inf")), (60.0, 80.0), (55.0, 65.0)),
        members=members,
    )
    other = curve.model_copy(update={"series": "evolution"})
    return study.model_copy(update={"axis": "evaluations", "points": (), "curves": (curve, other), "verdicts": ()})


@pytest.mark.parametrize(
    ("interval", "better", "outcome"),
    [
        ((-2.0, -1.0), "lower", "seen"),
        ((1.0, 2.0), "lower", "not seen"),
        ((-1.0, 2.0), "lower", "may be noise"),
        ((0.0, 2.0), "lower", "may be noise"),
        ((1.0, 2.0), "higher", "seen"),
        ((-2.0, -1.0), "higher", "not seen"),
        ((-2.0, 1.0), "higher", "may be noise"),
    ],
)
def test_outcomes(interval, better, outcome):
    assert outcome_of(interval, better) == outcome


def test_figures(study):
    table = figures(study)
    assert table.columns == ["series", "place", "MACs", "parameters", "processor time", "fd", "ssim"]
    assert table.lines[2] == [
        "taught",
        "3 %",
        "30.0 M",
        "30.0 k",
        "1 min 40 s",
        "52.0 [42.0, 64.0]",
        "0.500 [0.400, 0.600]",
    ]


def test_figures_of_searches(searches):
    assert figures(searches).lines[0] == ["random", "all", "3", "9.0 s", "60.0 [55.0, 65.0]"]


def test_claims(study):
    table = claims(study)
    assert table.columns == ["claim", "place", "verdict", "difference in fd", "seeds", "ssim"]
    assert table.lines == [
        ["taught better than alone", "3 %", "seen", "−5.00 [−9.00, +1.00]", "1 of 2", "not seen"],
        ["taught better than alone", "1 %", "may be noise", "−5.00 [−9.00, +1.00]", "1 of 2", "seen"],
    ]


def test_summary(study, searches):
    words = "By fd over 2 seeds, 1 of 2 claims of the source were seen, 0 were seen the other way round, and 1 may"
    assert summary(study) == f"{words} be noise."
    assert summary(searches) == "There is no claim to judge."


def test_markdown_is_whole(study):
    text = markdown(study)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [7] * 4 + [8] * 6
    assert "![plot](study.png)" in text
    assert "on the test split" in text


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("axis", ["macs", "place"])
def test_the_plot_names_series_and_places(study, axis):
    shown = texts(study_svg(study.model_copy(update={"axis": axis})))
    for text in ("alone", "taught", "fd (lower is better)"):
        assert text in shown
    assert ("MACs (papers’ convention)" in shown) == (axis == "macs")
    assert ("3 %" in shown) == (axis == "place")


def test_of_a_single_place_the_series_stand_side_by_side(study):
    """Their names below them, so that no colour has to tell them apart; longer ones in several lines."""
    names = {"alone": "a", "taught": "no channel distillation"}
    points = tuple(each.model_copy(update={"series": names[each.series]}) for each in study.points)
    single = tuple(each for each in points if each.place == study.places[0])
    shown = texts(study_svg(study.model_copy(update={"points": single, "axis": "place"})))
    assert [name for name in shown if name in {"a", "no channel", "distillation"}] == [
        "a",
        "no channel",
        "distillation",
    ]
    assert study.places[0] not in shown


def test_the_plot_shows_where_the_points_are(study):
    """Ticks of both axes lie around the values, though the series stand apart by a transform."""
    ticks = [text for text in texts(study_svg(study)) if re.fullmatch(r"[\d.]+( M)?", text)]
    assert "20 M" in ticks
    assert {"50", "60", "70"} <= set(ticks)


def test_curves_are_drawn_where_they_are_finite(searches):
    shown = texts(study_svg(searches))
    assert {"random", "evolution", "evaluations"} <= set(shown)


@pytest.fixture
def compared(study) -> StudyReport:
    """Two strategies and an exhaustive search, of three seeds: the best of all are 50, 60 and 70."""

    def curve(series: str, *best: tuple[float, ...], exhaustive: bool = False) -> Curve:
        members = tuple(
            CurveMember(seed=seed, best=own, processor_seconds=9, digest="d") for seed, own in enumerate(best)
        )
        length = max(map(len, best))
        return Curve(
            series=series,
            place="all",
            mean=(60.0,) * length,
            intervals=((50.0, 70.0),) * length,
            members=members,
            exhaustive=exhaustive,
        )

    curves = (
        curve("quick", (90, 50.5), (60.5, 60.5, 60.5), (80, 80, 80, 70)),
        curve("slow", (51, 51), (60.7, 60.7), (90, 70)),
        curve("all of them", *((99.0,) * 99 + (best,) for best in (50.0, 60.0, 70.0)), exhaustive=True),
    )
    return study.model_copy(update={"axis": "evaluations", "points": (), "curves": curves, "verdicts": ()})


def test_how_soon_a_search_came_close_to_the_best_of_all(compared, searches):
    """Within 1 %: after 2, 1 and 4 evaluations; and in one seed of three."""
    table = figures(compared)
    assert [line[2] for line in table.lines] == ["2–4", "2", "100"]
    assert [line[-1] for line in table.lines] == ["2", "not reached", "100"]
    assert len(figures(searches).columns) == len(table.columns) - 1, "nobody knows the best of all"


def test_an_exhaustive_search_is_a_line_to_compare_with(compared):
    """It does not stretch the axis to its 100 evaluations."""
    shown = texts(study_svg(compared))
    assert "all of them" in shown
    assert "100" not in shown


def test_a_plot_without_finite_scores_is_empty(study):
    lost = [each.model_copy(update={"scores": {"fd": float("inf"), "ssim": 0.5}}) for each in study.points]
    assert "alone" not in texts(study_svg(study.model_copy(update={"points": tuple(lost)})))


def test_the_page(study, searches):
    page = render_study(study)
    for text in (
        "Does a teacher help?",
        "a note",
        "43.1 ms",
        "taught better than alone",
        "&lt;data&gt;",
        "2 seeds",
    ):
        assert text in page
    assert 'class="better">seen<' in page
    assert 'class="worse">not seen<' in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "nothing is loaded"
    assert page == render_study(study)
    assert "Best score against evaluations" in render_study(searches)


def test_files(tmp_path, study, searches):
    for report in (study, searches):
        assert write_study(tmp_path / "study", report) == tmp_path / "study" / "study.html"
        assert {path.name for path in (tmp_path / "study").iterdir()} == {
            f"study.{kind}" for kind in ("html", "json", "md", "png", "svg")
        }
        text = (tmp_path / "study" / "study.json").read_text()
        assert StudyReport.model_validate_json(text) == report
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        ElementTree.fromstring((tmp_path / "study" / "study.svg").read_text())
        assert (tmp_path / "study" / "study.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written(tmp_path, study):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        write_study(tmp_path / "file", study)
