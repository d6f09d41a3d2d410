"""OMGD and Pocket from data to a report by one command, and stopped and resumed, at toy size."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from pocketgan.data.inputs import open_inputs
from pocketgan.data.task import open_task
from pocketgan.models import load_model
from pocketgan.networks import UnetSpec
from pocketgan.training.log import read_log
from tests.conftest import Outcome
from tests.methods.test_imitation_methods import BUDGET, SIZE, home, omgd, pocket
from tests.methods.test_supernet_runs import trained

Cli = Callable[..., Outcome]
__all__ = ["home"]  # a fixture


BRIEF = shlex.split(
    f"--budget 100M --size {SIZE} --set wide.blocks=1 --set wide.widths=[4,4,4,4,4,4] --set discriminator.width=2 "
    "--set schedule.constant=1 --set schedule.decay=0 --set precision=fp32"
)
SEARCHED = shlex.split(
    "--set space=4_2 --set search.population=2 --set search.generations=0 --set calibration=4 "
    """--set tuning='{"constant": 1}' --set timed=2"""
)


@pytest.mark.parametrize(
    ("method", "folder", "more"),
    [
        ("omgd", "pairs", True),
        ("omgd", "unpaired", False),
        ("pocket", "pairs", False),
        ("pocket", "unpaired", True),
    ],
)
def test_from_data_to_a_report_by_one_command(
    cli: Cli, home: Path, tmp_path: Path, method: str, folder: str, more: bool
):
    out, paired = tmp_path / "run", folder == "pairs"
    words = ["compress", home / folder, "--method", method, "--out", out, *BRIEF]
    if not paired:
        words += ["--set", "objective.n_dis=1"]
    elif method == "omgd":
        words += ["--set", "deep=deep-resnet:1"]
    else:
        words += ["--set", "warm_up.constant=1", "--set", "warm_up.decay=0"]
    words += SEARCHED if method == "pocket" else []
    words += ["--unlabelled", home / "more" / "A"] if more else []
    ended = cli(*words)
    assert ended.code == 0, ended.err
    report = json.loads((out / "report.json").read_text())
    teacher, small, scratch = report["rows"]
    assert (scratch["kind"], scratch["macs"]) == ("scratch", small["macs"])
    assert (teacher["kind"], small["kind"]) == ("teacher", "compressed")
    assert small["macs"] <= report["budget_macs"]
    assert ("l1" in small["scores"], "teacher_l1" in small["scores"]) == (paired, True)
    assert (len(report["candidates"]) > 0) == (method == "pocket")
    notes = " ".join(report["notes"])
    assert "The perceptual terms look through mobilenet_v2" in notes
    assert ("idths" in notes, "he teacher of each turn" in notes) == (method == "pocket", not paired)
    assert ("Chosen on the selection split" in notes) == (method == "pocket")
    page = (out / "report.html").read_text()
    assert ("What the budget buys" in page) == (method == "pocket")
    stages = ('<th scope="row">student</th>' in page, '<th scope="row">supernet</th>' in page)
    assert stages == (method == "omgd", method == "pocket")
    assert load_model(out / "model").card["size"] == [SIZE, SIZE]
    session = onnxruntime.InferenceSession(out / "export" / "compressed.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": np.zeros((1, 3, SIZE, SIZE), np.float32)})[0].shape == (1, 3, SIZE, SIZE)
    logs = [read_log(path) for path in out.glob("stages/online-distil-*/log.jsonl")]
    assert len(logs) == (2 if method == "pocket" else 1)
    assert any(name.startswith("G_style") for name in logs[0][-1]), "the student imitated"
    again = cli(*words)
    assert again.code == 0
    assert "missing" not in again.err + again.out, "nothing is left to do"
    assert cli("report", out).code == 0


@pytest.mark.parametrize(
    ("method", "folder", "family"),
    [
        ("omgd", "pairs", "resnet"),
        ("omgd", "pairs", "unet"),
        ("omgd", "unpaired", "resnet"),
        ("pocket", "pairs", "resnet"),
        ("pocket", "unpaired", "resnet"),
    ],
)
def test_stopped_and_resumed_equals_uninterrupted(
    home: Path, tmp_path: Path, method: str, folder: str, family: str
):
    """In a turn of the teachers and in one of the student; with inputs of its own."""
    task = open_task(home / folder, size=SIZE)
    forms: dict[str, Any] = {}
    if family == "unet":
        forms = dict(wide=UnetSpec.uniform(4, levels=5), deep=UnetSpec.uniform(1, levels=5, residuals=1))
    settings = (omgd if method == "omgd" else pocket)(task, **forms)
    recipe = settings.recipe("toy", task, BUDGET, None, open_inputs(home / "more" / "A", task))
    whole = trained(recipe, tmp_path / "whole")
    stops = ("student",) if method == "omgd" else ("supernet", "fine-tuning")
    # the first turn of the student begins after six steps
    for step in (3,) if task.paired else (3, 8) if method == "omgd" else (8,):
        broken = trained(recipe, tmp_path / f"broken{step}", stops, step)
        assert broken.keys() == whole.keys()
        assert [name for name in whole if broken[name] != whole[name]] == []
    folders = {
        name.split("/")[2]
        for name in whole
        if name.startswith(recipe["student" if method == "omgd" else "supernet"].address)
    }
    others = {"deep_teacher"} if task.paired else {"backward", "backward_discriminator"}
    assert folders == {"model", "teacher", "discriminator"} | others
