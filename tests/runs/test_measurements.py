"""Latencies that a run has measured stay: what is reported does not change from one report to the next."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from pocketgan.deploy.latency import Latency
from pocketgan.deploy.machine import Machine

from ..conftest import ToyRun

ELSEWHERE = Machine(cpu="Another CPU", cores=4)


@pytest.fixture
def run(toy_run: ToyRun, tmp_path: Path) -> Path:
    """A finished run whose latencies nobody has measured."""
    folder = copytree(toy_run.folder, tmp_path / "run")
    (folder / "report.json").unlink()
    return folder


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """What is measured next: milliseconds of the first network, and the share that others had of the time."""
    waits: list[tuple[float, float]] = []

    def measured(runtime: Any, files: list[Path], size: Any) -> list[Latency]:
        ms, waiting = waits.pop(0)
        about = dict(size=size, runs=10, threads=1, runtime=runtime.version(), waiting=waiting)
        return [
            Latency(
                name=file.name, least_ms=own * 0.9, median_ms=own, quartiles_ms=(own * 0.95, own * 1.1), **about
            )
            for file, own in zip(files, (ms, ms / 4), strict=True)
        ]

    monkeypatch.setattr("pocketgan.runs.measurements.latencies", measured)
    return waits


def reported(cli, run: Path) -> tuple[dict[str, float], list[float]]:
    """What a report made again says of the networks, and the first network's milliseconds of all measurements."""
    assert cli("report", run).code == 0
    report = json.loads((run / "report.json").read_text())
    rows = {row["name"]: row["latency_ms"] for row in report["rows"]}
    assert len({row["latency_runtime"] for row in report["rows"]}) == 1
    return rows, [each["latencies"]["teacher"]["median_ms"] for each in report["measurements"]]


def test_what_a_quiet_machine_measured_is_not_measured_again(cli, run: Path, clock):
    clock += [(8.0, 0.05), (9.0, 0.0)]
    first = reported(cli, run)
    assert first == ({"teacher": 8.0, "compressed": 2.0}, [8.0])
    assert reported(cli, run) == first
    assert len(clock) == 1
    page = (run / "report.html").read_text()
    assert "teacher 8.00 ms (least 7.20, quartiles 7.60 to 8.80), compressed 2.00 ms" in page


def test_of_a_busy_machine_the_quietest_counts(cli, run: Path, clock):
    clock += [(12.0, 0.3), (20.0, 0.6), (8.0, 0.0)]
    assert reported(cli, run)[1] == [12.0]
    text = (run / "report.json").read_text()
    assert "1 thread, on a busy machine" in text
    assert reported(cli, run) == ({"teacher": 12.0, "compressed": 3.0}, [12.0, 20.0])
    assert reported(cli, run) == ({"teacher": 8.0, "compressed": 2.0}, [8.0, 12.0, 20.0])
    assert "busy" not in json.loads((run / "report.json").read_text())["rows"][0]["latency_runtime"]
    assert reported(cli, run)[1] == [8.0, 12.0, 20.0]


def test_each_machine_has_its_own(cli, run: Path, clock, monkeypatch: pytest.MonkeyPatch):
    clock += [(8.0, 0.0), (5.0, 0.0)]
    reported(cli, run)
    with monkeypatch.context() as there:
        there.setattr(Machine, "here", classmethod(lambda cls: ELSEWHERE))
        assert reported(cli, run) == ({"teacher": 5.0, "compressed": 1.25}, [5.0, 8.0])
    assert reported(cli, run) == ({"teacher": 8.0, "compressed": 2.0}, [8.0, 5.0])
    page = (run / "report.html").read_text()
    assert "Another CPU" in page
