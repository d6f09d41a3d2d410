"""How processes are started, who they are, and that what ends one ends all, in one line."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pocketgan.distributed import ALONE, launched, processes_of, speaks_first
from pocketgan.distributed.start import first_node
from pocketgan.errors import SpecError
from tests.conftest import TOY

ROOT = Path(__file__).parents[2]
TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "5"}
SLURM = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "16",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
}


def test_torchrun_says_who_a_process_is():
    assert launched({**TORCHRUN, "LOCAL_WORLD_SIZE": "2"}) == (3, 4, 1, 2, "a", 5)


def test_slurm_says_who_a_process_is():
    place = launched(SLURM)
    assert place[:5] == (9, 16, 1, 0, "gpu03")
    assert 20000 <= place.port < 40000
    assert launched({**SLURM, "SLURM_STEP_ID": "1"}).port != place.port
    assert launched({**SLURM, "MASTER_ADDR": "b", "MASTER_PORT": "7"})[4:] == ("b", 7)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"},
        # an allocation, in which no `srun` has started anything
        {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "16", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
        {**SLURM, "SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_a_process_of_its_own(environment):
    assert launched(environment) is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu7", "gpu7"), ("gpu[03-05,9],login1", "gpu03"), ("a[1,4]-ib", "a1-ib"), ("n1,n2", "n1")],
)
def test_the_first_machine_of_a_list(nodes, first):
    assert first_node(nodes) == first


def test_what_was_started_is_what_is_asked_for():
    place = launched(TORCHRUN)
    assert [processes_of(*asked, place) for asked in ((None, 1), (4, 1), (2, 2))] == [4, 4, 4]
    with pytest.raises(SpecError, match="--devices 2 on 1 machine are 2 processes, and 4 were started; leave"):
        processes_of(2, 1, place)


def test_one_process_needs_nobody():
    values = torch.tensor([1.0, 2.0])
    ALONE.average([values])
    assert ALONE.share(range(5)) == range(5)
    assert [*ALONE.mine("abc")] == ALONE.in_order("abc") == ["a", "b", "c"]
    assert ALONE.any(True, False) == (True, False)
    assert ALONE.first(lambda: 3) == 3
    assert values.tolist() == [1, 2]
    assert speaks_first(2)
    assert speaks_first(2)


# -- the command line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "--devices 3",
            "a batch of 4 has no equal shares for 3 devices; add --set teaching.batch_size=6 "
            "--set supernet.batch_size=6, or choose another --devices",
        ),
        ("--nodes 2", "--nodes 2 needs a place where they meet; add --address HOST:PORT of the first machine"),
        (
            "--nodes 2 --address here",
            "--nodes 2 needs a place where they meet; add --address HOST:PORT of the first",
        ),
        ("--node 1", "--node 1 is none of 1; number them from 0, or set --nodes"),
        ("--address a:1", "--address is for several machines; add --nodes, or leave it out"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(cli, pairs, tmp_path, words, line):
    made = ["--set", "teaching.batch_size=4", "--set", "supernet.batch_size=4", "--out", tmp_path / "run"]
    found = cli("plan", pairs, "--budget", "1G", "--size", "24", *TOY, *made, *words.split())
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(f"pocketgan: {line}")
    assert found.err.count("\n") == 1


def test_more_devices_than_gpus(cli, pairs, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = cli("compress", pairs, "--budget", "1G", "--devices", "3")
    assert (found.code, found.err) == (
        2,
        "pocketgan: 3 devices are wanted, and this machine has 2 GPUs; choose --devices 2, or --device cpu\n",
    )


def test_what_one_process_does_is_not_done_by_several(cli, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    found = cli("profile", "resnet:8")
    assert (found.code, found.err) == (
        2,
        "pocketgan: profile is the work of one process, and 4 were started; start it without torchrun or srun\n",
    )


# -- how they end ------------------------------------------------------------------------------------------------


def ending(how: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.distributed.failing", how]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("how", "code", "line"),
    [
        ("error", 2, "pocketgan: image 7 is damaged; remove it\n"),
        (
            "killed",
            1,
            "pocketgan: a process of this run has ended, and the others with it; run the same command again to go "
            "on from the last saved state\n",
        ),
    ],
)
def test_what_ends_one_ends_all_in_one_line(how, code, line):
    process = ending(how)
    _, told = process.communicate(timeout=120)
    assert (process.returncode, told) == (code, line)


def test_a_bug_is_told_once():
    process = ending("bug")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert told.count("Traceback") == 1
    assert "AssertionError: a mistake of ours\n" in told


def test_a_polite_kill_reaches_all():
    process = ending("terminated")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert (process.returncode, told) == (
        143,
        "pocketgan: stopped; run the same command again to go on from here\n",
    )
