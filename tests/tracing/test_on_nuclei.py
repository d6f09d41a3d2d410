"""A user's generator on the bundled nuclei, by the command line: to report, ONNX and pick, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pocketgan.models import load_model
from tests.conftest import TOY_STUDENT, call_main
from tests.runs.test_resume import digests, timeless

ROOT = Path(__file__).resolve().parents[2]
NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.SiLU())
        self.middle = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.GELU())
        self.norm = nn.GroupNorm(2, 2 * width)
        self.decode = nn.ConvTranspose2d(2 * width, 3, 4, 2, 1)

    def forward(self, x):
        return self.decode(self.norm(self.middle(self.encode(x)))).tanh()
"""
#: the command line in a process of its own, which ends in the midst of writing the supernet's third state
KILLED = """
import os, signal, sys
from functools import partial
from pathlib import Path
import torch
from pocketgan import cli
from pocketgan.api import job

torch.set_num_threads(1)
job.Runtime = partial(job.Runtime, checkpoint_seconds=0)
write, written = Path.write_bytes, 0
def write_and_die(path, content):
    global written
    written += path.parent.name == "state" and path.parents[1].name.startswith("distil")
    if written == 3:
        write(path, content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, content)
Path.write_bytes = write_and_die
cli.main()
"""


def words(home: Path, out: Path) -> list[str]:
    toy = [
        word
        for option, value in zip(TOY_STUDENT[::2], TOY_STUDENT[1::2], strict=True)
        for word in (option, value)
        if not value.startswith("space")
    ]
    own = ["--generator", str(home / "net.py:Net"), "--set", "generator.width=16"]
    own += ["--set", "separable=middle.0", "--set", "taps=encode,norm"]
    short = ["--set", "teaching.constant=1", "--set", "teaching.decay=0"]
    data = str(ROOT / "examples" / "nuclei" / "stained")
    return ["compress", data, *own, "--budget", "5M", "--size", "24", "--out", str(out), *short, *toy]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two runs of one command: `whole`, and `broken`, whose first session was killed."""
    home = tmp_path_factory.mktemp("own")
    (home / "net.py").write_text(NET)
    first = subprocess.run(
        [sys.executable, "-c", KILLED, *words(home, home / "broken")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
    )
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert not (home / "broken" / "report.json").exists()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in ("broken", "whole"):
        assert call_main(*words(home, home / name)) == 0
    torch.set_num_threads(threads)
    return home


def test_killed_and_resumed_it_leaves_the_same(home):
    wanted, found = digests(home / "whole"), digests(home / "broken")
    assert found == wanted
    assert {"model/weights.safetensors", "export/compressed.onnx"} <= wanted.keys()
    reports = [timeless(json.loads((home / name / "report.json").read_text())) for name in ("whole", "broken")]
    assert reports[0]["rows"] == reports[1]["rows"]


def test_report_file_and_pick(home, cli):
    run = home / "whole"
    assert "data:image" in (run / "report.html").read_text()
    x = torch.rand(1, 1, 24, 24) * 2 - 1
    (made,) = onnxruntime.InferenceSession(run / "export" / "compressed.onnx").run(None, {"image": x.numpy()})
    np.testing.assert_allclose(made, load_model(run / "model").network(x).detach(), atol=1e-4)
    front = json.loads(cli("pick", run, "--json").out)["front"]
    cheapest = min(point["macs"] for point in front)
    picked = cli("pick", run, "--budget", f"{cheapest}", "--out", home / "picked", "--json")
    assert picked.code == 0, picked.err
    rows = {row["name"]: row for row in json.loads(picked.out)["rows"]}
    assert rows["pick"]["macs"] == cheapest < rows["teacher"]["macs"]
