"""One tiny run of every method on a GPU, from the command line, as a user starts it."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from pocketgan.pipeline import training
from tests.conftest import TOY, call_main
from tests.methods.test_imitation_methods import home
from tests.methods.test_imitation_runs import BRIEF, SEARCHED

__all__ = ["home"]  # a fixture
CLASSIC = ["gan-compression", "fast-gan-compression", "once-for-all"]


def compress(folder: Path, *words: object) -> int:
    return call_main("compress", *words, "--device", "cuda", "--out", folder)


def finish(folder: Path, *words: object) -> None:
    """A run to its end; and its figures are numbers."""
    assert compress(folder, *words) == 0
    rows = json.loads((folder / "report.json").read_text())["rows"]
    assert len(rows) == 2 + ("guard=0" not in words)
    assert all(np.isfinite(score) for row in rows for score in row["scores"].values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", CLASSIC)
def test_with_a_discriminator_for_the_student(method, precision, pairs, tmp_path):
    words = (*TOY, "--budget", "1G", "--size", "24", "--set", f"precision={precision}")
    if method == "gan-compression":
        words += ("--set", "predistillation.constant=1", "--set", "predistillation.decay=0")
    finish(tmp_path / "run", pairs, *words, "--method", method)


@pytest.mark.parametrize("folder", ["pairs", "unpaired"])
@pytest.mark.parametrize("method", ["omgd", "pocket"])
def test_online(method, folder, home, tmp_path):
    words = ["--method", method, *BRIEF, *(SEARCHED if method == "pocket" else [])]
    if folder == "unpaired":
        words += ["--set", "objective.n_dis=1"]
    elif method == "omgd":
        words += ["--set", "deep=deep-resnet:1"]
    else:
        words += ["--set", "warm_up.constant=1", "--set", "warm_up.decay=0"]
    finish(tmp_path / "run", home / folder, *words)


def test_a_run_that_was_stopped_goes_on(pairs, tmp_path, monkeypatch):
    """Twice: after the first step of the teacher, and of the supernet."""
    words = (pairs, "--method", "fast-gan-compression", *TOY, "--budget", "1G", "--size", "24")
    for calls in (1, 2):
        stop_at_a_step(monkeypatch, calls)
        assert compress(tmp_path / "run", *words) != 0
        assert list((tmp_path / "run").glob("stages/*/state/state.safetensors"))
    monkeypatch.undo()
    finish(tmp_path / "run", *words)


def stop_at_a_step(monkeypatch: pytest.MonkeyPatch, session: int) -> None:
    """Ctrl-C at the first step of the last training that this session is to reach."""
    fit, left = training.fit, [session]

    def interrupted(objective, *inputs, **options):
        left[0] -= 1
        if left[0] == 0:
            step = objective.step

            def stopping(batch, rng):
                os.kill(os.getpid(), signal.SIGINT)
                return step(batch, rng)

            objective.step = stopping
        return fit(objective, *inputs, **options)

    monkeypatch.setattr(training, "fit", interrupted)
