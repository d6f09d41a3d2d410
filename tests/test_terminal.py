"""What a terminal shows: nothing broken within a word, no name cut, and how far the run is."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pocketgan import __version__, progress
from pocketgan.catalog.catalog import ENTRIES
from pocketgan.cli import show
from pocketgan.cli.show import table_lines
from pocketgan.deploy import doctor
from pocketgan.progress import Course, progress_shown
from pocketgan.studies.catalog import STUDIES

from .conftest import Outcome, ToyRun

Cli = Callable[..., Outcome]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`columns(80)`: a terminal so wide."""

    def at(width: int) -> None:
        monkeypatch.setattr(show, "_width", lambda terminal: width)

    return at


# -- tables and sentences ----------------------------------------------------------------------------------------


def texts(*table: object) -> list[str]:
    return [line.text for line in table_lines(*table)]


def test_a_table_that_fits():
    lines = table_lines(["name", "figure"], [["a", "1"], ["b c", "20"]], 80)
    assert [line.text for line in lines] == ["name  figure", "a     1", "b c   20"]
    assert [line.head for line in lines] == [True, False, False]


def test_sentences_break_between_words():
    rows = [["a-name-that-is-typed", "a sentence of many words that one line of the terminal cannot hold"]]
    assert texts(["name", "about"], rows, 54) == [
        "name                  about",
        "a-name-that-is-typed  a sentence of many words that",
        "                      one line of the terminal cannot",
        "                      hold".rstrip(),
    ]


def test_too_many_columns_become_blocks():
    about = "a sentence of many words that goes on and on"
    lines = table_lines(["name", "of", "about"], [["one", "this", about], ["two", "", about]], 36)
    assert [line.text for line in lines] == [
        "one",
        "  of     this",
        "  about  a sentence of many words",
        "         that goes on and on",
        "two",
        "  about  a sentence of many words",
        "         that goes on and on",
    ]
    assert [line.text for line in lines if line.head] == ["one", "two"]


def test_names_and_figures_stay_side_by_side():
    rows = [["Distance (of a network)", "465 (423 to 515)", "540 (505 to 570)"]]
    assert texts(["", "teacher", "compressed"], rows, 52) == [
        "                  teacher           compressed",
        "Distance (of a    465 (423 to 515)  540 (505 to 570)",
        "network)",
    ]


def test_a_pipe_has_a_line_a_row():
    assert texts(["a", "b"], [["x" * 300, "y " * 200]], None)[1].startswith("x" * 300 + "  y y")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("words", [["list"], ["study", "--list"], ["prepare", "--list"], ["doctor"]])
def test_no_line_is_wider_than_asked(cli: Cli, columns: Callable[[int], None], words: list[str], width: int):
    columns(width)
    out = cli(*words).out
    # but for a word that is wider than the room beside the names, such as a path
    wide = [line for line in out.splitlines() if len(line) > width]
    assert [line for line in wide if max(map(len, line.split())) <= width - 29] == []
    assert "…" not in out
    known = {"list": ENTRIES, "study": STUDIES}.get(words[0], ())
    assert {line.split()[0] for line in out.splitlines() if line} >= set(known), "every name in one piece"


def test_the_commands_of_the_help_have_whole_sentences(cli: Cli):
    text = " ".join(cli("--help").out.partition("Commands:")[2].split())
    assert "..." not in text
    assert "pick Another budget from a finished run, without training: the best subnet" in text


# -- progress ----------------------------------------------------------------------------------------------------


class Clock:
    """Seconds by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_course_of_a_run():
    clock = Clock()
    course = Course({"teacher": 60.0, "search": 30.0, "export": 10.0}, clock)
    assert (course.share, course.left) == (0, 100)
    course.at("images of train", 5, 5)
    assert course.share == 0, "what was not planned counts nothing"
    course.at("teacher", 0, 0)
    clock.now = 60.0
    course.at("teacher", 50, 100)
    assert (course.share, course.stage_left) == (0.3, "1 min 0 s left")
    assert course.left == pytest.approx(140), "by its own speed: half as fast as planned"
    clock.now = 120.0
    assert course.at("search", 0, 0) == ("teacher", 120.0)
    assert course.share == 0.6
    course.at("export", 0, 0)
    assert course.share == 0.9
    assert course.end() == ("export", 0.0)
    assert course.share == 1.0


def test_a_resumed_stage_counts_from_where_it_goes_on():
    clock = Clock()
    course = Course({"teacher": 50.0}, clock)
    course.at("teacher", 50, 100)
    assert course.share == 0
    clock.now = 25.0
    course.at("teacher", 75, 100)
    assert (course.share, course.stage_left) == (0.5, "25 s left")


def test_lines_of_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "EVERY", -1.0)
    with progress_shown({"a": 1.0, "b": 3.0}) as shown:
        shown("a", 0, 0)
        shown("a", 2, 4)
        shown("b", 4, 4)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("a: 2 of 4; 0.0 s left; 12% of the run, about ")
    assert last.startswith("b: 4 of 4; 0.0 s left; 25% of the run") or "100% of the run" in last


def test_quiet_runs_say_only_where_the_result_is(cli: Cli, toy_run: ToyRun):
    said = cli(*toy_run.words, "--quiet")
    assert (said.out, said.err) == (f"{toy_run.folder / 'report.html'}\n", "")


def in_a_terminal(*words: str, **environment: str) -> str:
    """What `python -m pocketgan WORDS` writes to a terminal of 80 columns."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "pocketgan", *words]
    own = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        command, stdout=follower, stderr=follower, env=own | {"COLUMNS": "80", "TERM": "xterm"} | environment
    ) as child:
        os.close(follower)
        read = b""
        try:
            while more := os.read(leader, 1 << 16):
                read += more
        except OSError:  # on Linux the end of the other side
            pass
    os.close(leader)
    assert child.returncode in (0, 2), read
    return read.decode().replace("\r\n", "\n")


def test_colours_can_be_left_out():
    words = ("prepare", "--list")
    bold, plain = in_a_terminal(*words), in_a_terminal(*words, NO_COLOR="1")
    assert "\x1b[1m" in bold
    assert "\x1b" not in plain
    assert plain.startswith("edges2shoes\n  what it is  ")


def test_an_error_breaks_between_words():
    lines = in_a_terminal("compress", "images", "--budget", "1G", "--direction", "BtoB").splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).endswith("(see pocketgan compress --help)")


# -- doctor, completion, python -m -------------------------------------------------------------------------------


def test_doctor(cli: Cli):
    found = json.loads(cli("doctor", "--json").out)
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["pocketgan"] == __version__
    assert found["device"] in found["devices"] or found["device"] in ("cuda", "mps")
    assert found["runtimes"].keys() == {"onnxruntime", "openvino", "executorch", "coreml", "torch", "torch-export"}
    assert found["weights"]["mobilenet_v2"] == "bundled"
    text = cli("doctor").out
    for name in (*found["versions"], *found["runtimes"], *found["weights"]):
        assert f"  {name} " in text


def test_doctor_finds_weights_and_says_how_to_get_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    before = doctor.examine().weights
    assert before["inception"].startswith("missing: POCKETGAN_OFFLINE forbids its download"), "tests are offline"
    assert before["clip"].endswith("or give --weights clip=FILE")
    file = tmp_path / "weights" / doctor.inception.SOURCE.file
    file.parent.mkdir()
    file.touch()
    assert doctor.examine().weights["inception"] == str(file)
    assert not any("Inception" in sentence for sentence in doctor.examine().slow)


def test_doctor_says_what_is_slow_and_why(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "cores", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 3.0, 3.0))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    slow = " ".join(doctor.examine().slow)
    assert "PyTorch computes with 1 of 4 cores, because of OMP_NUM_THREADS" in slow
    assert "programs ask for 3.0 of 4 cores already" in slow
    assert "training runs on the CPU" in slow or torch.cuda.is_available()


def test_completion_is_installed_for_the_shell(tmp_path: Path):
    words = [sys.executable, "-m", "pocketgan", "--install-completion", "bash"]
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    ended = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    written = next(tmp_path.rglob("pocketgan.sh")).read_text()
    assert "_POCKETGAN_COMPLETE=complete_bash" in written
    typed = {"COMP_WORDS": "pocketgan pro", "COMP_CWORD": "1"}
    asked = {**environment, **typed, "_POCKETGAN_COMPLETE": "complete_bash"}
    told = subprocess.run(words[:3], env=asked, capture_output=True, text=True)
    assert told.stdout.split() == ["profile"], told.stderr


def test_python_m():
    ended = subprocess.run([sys.executable, "-m", "pocketgan", "--version"], capture_output=True, text=True)
    assert shlex.split(ended.stdout) == [__version__]
