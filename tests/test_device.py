"""Every stage and verb on an accelerator: the stand-in, which computes as the CPU does and is as strict as a GPU.

An operand that was left on the CPU ends in the error that CUDA would give; a network that was left there computes
nothing on the accelerator, and its forwards are counted.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pocketgan.networks import Generator
from tests.conftest import Outcome, ToyRun
from tests.methods.test_imitation_methods import home
from tests.methods.test_imitation_runs import BRIEF, SEARCHED

__all__ = ["home"]  # a fixture
Cli = Callable[..., Outcome]


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch, accelerator: torch.device) -> list[str]:
    """On which kind of device each generator ran, outside of exports."""
    places: list[str] = []
    call = torch.nn.Module.__call__

    def noted(module, *inputs, **named):
        if isinstance(module, Generator) and not torch.compiler.is_exporting():
            places.append(next(module.parameters()).device.type)
        return call(module, *inputs, **named)

    monkeypatch.setattr(torch.nn.Module, "__call__", noted)
    return places


def weights(run: Path) -> dict[str, bytes]:
    return {
        "/".join(path.parts[-4:]): path.read_bytes() for path in (run / "stages").rglob("artifact/**/*.safetensors")
    }


def test_a_run_and_what_users_do_with_it(cli: Cli, toy_run: ToyRun, tmp_path: Path, forwards: list[str]):
    """Bit for bit what the CPU gives: every network, every score, every picture."""
    run = tmp_path / "run"
    words = [str(run) if word == str(toy_run.folder) else word for word in toy_run.words]
    ended = cli(*words)
    assert ended.code == 0, ended.err
    assert weights(run) == weights(toy_run.folder)
    reports = [json.loads((folder / "report.json").read_text()) for folder in (run, toy_run.folder)]
    for key in ("scores", "intervals"):
        assert [row[key] for row in reports[0]["rows"]] == [row[key] for row in reports[1]["rows"]]
    assert reports[0]["candidates"] == reports[1]["candidates"]
    on_cpu = forwards.count("cpu")
    assert forwards.count("lazy") > 20 > on_cpu, "what is exported runs on the CPU a few times"

    forwards.clear()
    assert cli("pick", run, "--budget", "1G", "--out", tmp_path / "small").code == 0
    assert "lazy" in forwards
    forwards.clear()
    ended = cli("evaluate", run, toy_run.data, "--size", "24", "--json")
    assert ended.code == 0, ended.err
    assert set(forwards) == {"lazy"}
    scores = json.loads(ended.out)["scores"]
    forwards.clear()
    image = toy_run.data / "A" / "p05.png"
    assert cli("translate", run, image, "-o", tmp_path / "there").code == 0
    assert set(forwards) == {"lazy"}
    assert cli("translate", run, image, "-o", tmp_path / "here", "--device", "cpu").code == 0
    ended = cli("evaluate", run, toy_run.data, "--size", "24", "--json", "--device", "cpu")
    assert json.loads(ended.out)["scores"] == scores
    pictures = [np.asarray(Image.open(tmp_path / place / "p05.png")) for place in ("there", "here")]
    np.testing.assert_array_equal(*pictures)


def test_teachers_without_pairs_are_scored_where_they_are(
    cli: Cli, home: Path, tmp_path: Path, forwards: list[str]
):
    """Pocket without pairs: between two turns the teacher's pictures are scored on the selection split."""
    words = ["compress", home / "unpaired", "--method", "pocket", "--out", tmp_path / "run", *BRIEF, *SEARCHED]
    ended = cli(*words, "--set", "objective.n_dis=1")
    assert ended.code == 0, ended.err
    assert forwards.count("lazy") > 20
