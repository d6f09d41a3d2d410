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

from pocketgan.data.task import open_task
from pocketgan.networks import Generator
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.pipeline.store import Store
from pocketgan.runs.run import store_of
from pocketgan.runtime import Runtime
from tests.conftest import Outcome, ToyRun
from tests.methods.test_imitation_methods import BUDGET, SIZE, home, pocket

__all__ = ["home"]  # a fixture
Cli = Callable[..., Outcome]
#: those that make no tensor by a list of numbers, which the stand-in does not see
METRICS = ("fd_mobilenet_v2", "l1", "teacher_l1")
MEASURED = ("--metrics", "fd_mobilenet_v2,l1")


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch, accelerator: torch.device) -> list[str]:
    """On which kind of device each generator ran, outside of exports."""
    places: list[str] = []
    call = torch.nn.Module.__call__

    def noted(module, *inputs, **named):
        if isinstance(module, Generator) and not torch.compiler.is_exporting():
            place = next(module.parameters()).device.type
            if place != "meta":  # Counting operations runs on no device.
                places.append(place)
        return call(module, *inputs, **named)

    monkeypatch.setattr(torch.nn.Module, "__call__", noted)
    return places


def test_the_stages_of_a_run(toy_run: ToyRun, tmp_path: Path, forwards: list[str]):
    """Every network and every score is bit for bit what the CPU gives. Exports, on the CPU, are left out."""
    recipe, store, done = read_recipe(toy_run.folder), Store(tmp_path), store_of(toy_run.folder)
    for stage in recipe.stages.values():
        store.realise(stage, Runtime())
    scores = Evaluate(network=recipe.result, task=recipe.task, metrics=METRICS, teacher=recipe.teacher)
    store.realise(scores, Runtime())
    assert set(forwards) == {"lazy"}
    for stage in recipe.stages.values():
        for name in stage.leaves:
            file = f"{name}/weights.safetensors" if "." not in name else name
            found, expected = (folder.artifact(stage) / file for folder in (store, done))
            assert found.read_bytes() == expected.read_bytes(), file
    wanted = recipe.scores(recipe.result)
    wanted = wanted.load(done.artifact(wanted)).scores
    assert scores.load(store.artifact(scores)).scores == {name: wanted[name] for name in METRICS}


def test_verbs(cli: Cli, toy_run: ToyRun, tmp_path: Path, forwards: list[str]):
    image, found = toy_run.data / "A" / "p05.png", []
    for device in ("auto", "cpu"):
        forwards.clear()
        ended = cli(
            "evaluate", toy_run.folder, toy_run.data, "--size", "24", "--json", "--device", device, *MEASURED
        )
        assert ended.code == 0, ended.err
        assert cli("translate", toy_run.folder, image, "-o", tmp_path / device, "--device", device).code == 0
        assert set(forwards) == {"lazy" if device == "auto" else "cpu"}
        picture = np.asarray(Image.open(tmp_path / device / "p05.png"))
        found.append((json.loads(ended.out)["scores"], picture.tolist()))
    assert found[0] == found[1]


def test_teachers_without_pairs_are_scored_where_they_are(home: Path, tmp_path: Path, forwards: list[str]):
    """Between two turns the teacher's pictures are scored on the selection split."""
    recipe = pocket(task := open_task(home / "unpaired", size=SIZE), tuning=None).recipe("toy", task, BUDGET)
    Store(tmp_path).realise(recipe["supernet"], Runtime())
    assert set(forwards) == {"lazy"}
