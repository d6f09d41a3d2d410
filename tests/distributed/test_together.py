"""Two processes are as one: games, a training that is stopped and goes on with another number, an evaluation."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketgan.distributed import ALONE, launch
from pocketgan.training.log import read_log
from pocketgan.training.state import load_state
from tests.distributed.together import PLAYED, STOPPED, evaluated, played, trained

ROOT = Path(__file__).parents[2]
MODULE = "tests.distributed.together"
#: one of each kind, for the starter that is not ours
KINDS = ("pix2pix", "cyclegan", "spade", "supernet", "omgd", "pocket-supernet", "in-place-supernet")
STATE = Path("state") / "state.safetensors"


def by_ourselves(folder: Path) -> int:
    return launch([sys.executable, "-m", MODULE, str(folder)], 2)


def by_torchrun(folder: Path) -> int:
    starter = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*starter, "-m", MODULE, folder, *KINDS]
    return subprocess.run(command, cwd=ROOT, timeout=400, capture_output=True).returncode


@pytest.fixture(scope="module", params=[by_ourselves, by_torchrun], ids=["launched", "torchrun"])
def together(request, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """The folder of two processes, and what they left in it."""
    folder = tmp_path_factory.mktemp("together")
    assert request.param(folder) == 0
    state = load_state(folder / "found")
    assert state["processes"] == 2
    return folder, state


@cache
def alone(name: str) -> dict[str, Tensor]:
    return played(name, ALONE)


def assert_close(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Biases in front of a norm have no gradient but for what is rounded, which Adam makes larger; all else differs
    by less than 1e-10."""
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PLAYED)
def test_every_game_becomes_the_same(together, name):
    """Weights, moments, averages and pools."""
    games = together[1]["games"]
    if name not in games:
        pytest.skip("played by processes that we start")
    assert_close(games[name], alone(name))


def test_a_signal_to_one_process_stops_all_after_the_same_step(together):
    folder, found = together
    assert found["stopped"] == [True, True]
    state = load_state(folder / STATE)
    assert (state["step"], state["processes"]) == (STOPPED, 2)
    assert [line["step"] for line in read_log(folder / "log.jsonl")][:STOPPED] == [*range(1, STOPPED + 1)]


def test_a_training_goes_on_with_another_number_of_processes(together, tmp_path, caplog):
    folder, _ = together
    (tmp_path / "moved" / "state").mkdir(parents=True)
    (tmp_path / "moved" / STATE).write_bytes((folder / STATE).read_bytes())
    assert_close(trained(tmp_path / "moved", stop=False), trained(tmp_path / "alone", stop=False))
    assert "was at work with 2 devices and goes on with 1" in caplog.text
    assert caplog.text.count("goes on") == 1


def test_the_log_tells_the_means_over_all_processes(together, tmp_path):
    trained(tmp_path, stop=False)
    for found, wanted in zip(read_log(together[0] / "log.jsonl"), read_log(tmp_path / "log.jsonl"), strict=False):
        assert {**found, "images_per_second": 0} == pytest.approx({**wanted, "images_per_second": 0}, abs=2e-5)


def test_what_one_process_cannot_learn_from_none_does(together):
    """And all say the same of it."""
    (same, told), other = together[1]["refused"]
    assert same
    assert told.startswith("the loss of discriminator became nan (D_fake")
    assert other == [same, told]


@pytest.mark.usefixtures("real_features")
def test_figures_of_images_that_do_not_divide_evenly(together):
    """To the last bit, in every process; the digest of the teacher's answers too."""
    wanted = json.loads(json.dumps(evaluated(ALONE)))
    assert together[1]["evaluated"] == [wanted, wanted]


def test_work_is_handed_out_and_comes_back_in_order(together):
    first, second = together[1]["asked"]
    assert first == [[number, number**2, number % 2] for number in range(5)]
    assert second == [[7, 49, 0]]
