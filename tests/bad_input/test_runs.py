"""Runs that end before their time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree

import pytest
import torch

from pocketgan.pipeline.training import Train
from tests.bad_input.conftest import Cli, refused, toy
from tests.conftest import Outcome


def test_a_loss_that_is_not_finite(cli: Cli, pairs: Path, out: Path, no_estimate: None):
    """Our own failure: exit code 1, but still one line, and no folder that the mended command would stumble on."""
    outcome = cli(*toy(pairs, out, "--set", "objective.lr=1e30", "--set", "teaching.constant=3"))
    last = outcome.err.splitlines()[-1]
    refused(
        outcome._replace(err=last), "the loss of", "training stopped before the update", "learning rate", code=1
    )


def test_too_little_memory_names_the_batch(
    cli: Cli, pairs: Path, out: Path, no_estimate: None, monkeypatch: pytest.MonkeyPatch
):
    def run(self: Train, work: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Train, "run", run)
    ended = cli(*toy(pairs, out, "--set", "teaching.batch_size=6"))
    words = "needs more memory than there is; add --set teaching.batch_size=3"
    refused(ended._replace(err=ended.err.splitlines()[-1]), "train-", words)


def test_a_report_of_an_unfinished_run(cli: Cli, toy_run, tmp_path: Path):
    folder = copytree(toy_run.folder, tmp_path / "run")
    (search,) = (folder / "stages").glob("search-*/artifact")
    search.rename(search.with_name("artifact.part"))
    refused(cli("report", folder), "is not finished (search left); run its command again to go on with it")


def test_a_report_without_the_images(cli: Cli, toy_run, tmp_path: Path):
    folder = copytree(toy_run.folder, tmp_path / "run")
    mark = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**mark, "data": str(tmp_path / "gone")}))
    refused(cli("report", folder), f"the images of {folder} are no longer in {tmp_path / 'gone'}; put them back")


def test_a_stopped_run_goes_on(pairs: Path, tmp_path: Path, cli: Cli, caplog: pytest.LogCaptureFixture):
    """Ctrl-C in the middle of training, and SIGTERM the next time; after a state was damaged too, it finishes."""
    out = tmp_path / "run"
    words = toy(pairs, out, "--set", "teaching.constant=15", "--set", "teaching.batch_size=1")

    def stopped(how: signal.Signals, code: int) -> int:
        """Stop the command once it has trained further than before; returns the steps done so far."""
        command = [sys.executable, "-m", "pocketgan.cli", *map(str, words)]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        before, patience = steps_done(out), time.monotonic() + 120
        with subprocess.Popen(command, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"}) as run:
            while steps_done(out) <= before and run.poll() is None and time.monotonic() < patience:
                time.sleep(0.01)
            run.send_signal(how)
            stdout, stderr = run.communicate()
        last = stderr.splitlines()[-1]
        stop = "stopped; run the same command again to go on from here"
        refused(Outcome(run.returncode, "", last), stop, code=code)
        assert "Traceback" not in stdout + stderr
        assert list((out / "stages").glob("train-*/state/state.safetensors"))
        assert not list((out / "stages").glob("train-*/artifact*")), "neither finished nor half-written"
        return steps_done(out)

    assert stopped(signal.SIGINT, 2) < stopped(signal.SIGTERM, 143) < 105
    (state,) = (out / "stages").glob("train-*/state/state.safetensors")
    state.write_bytes(state.read_bytes()[:-10])
    assert cli(*words).code == 0
    told = f"note: the saved state {state} is damaged; the stage goes on from the state before it"
    assert caplog.messages == [told]
    assert steps_done(out) == 105
    assert json.loads((out / "report.json").read_text())["rows"]


def steps_done(run: Path) -> int:
    """The last step in the log of the teacher's training, 0 where there is none yet."""
    lines = [line for path in (run / "stages").glob("train-*/log.jsonl") for line in path.read_text().splitlines()]
    try:
        return json.loads(lines[-1])["step"] if lines else 0
    except json.JSONDecodeError:  # just being written
        return 0


def test_in_a_process_of_its_own(tmp_path: Path):
    """What a shell sees: nothing on stdout, one line on stderr, 2."""
    words = [sys.executable, "-m", "pocketgan.cli", "compress", "nowhere", "--budget", "1G"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    refused(Outcome(ended.returncode, ended.stdout, ended.stderr), "there is no folder nowhere")
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []
