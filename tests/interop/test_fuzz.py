"""Importing hostile files: nothing but errors in words, no code run, no memory taken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.interop import mutants

ROOT = Path(__file__).resolve().parents[2]


def test_the_canary_sings(tmp_path: Path):
    """An unsafe reader would run its code: that the fuzzing sees none says something."""
    file, canary = tmp_path / "mutant", tmp_path / "canary"
    file.write_bytes(mutants.packed({"x": mutants.Canary(canary)}, "new"))
    torch.load(file, weights_only=False)
    assert canary.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited the way that Linux does it")
def test_mutants():
    command = [sys.executable, "-m", "tests.interop.mutants"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout)
    assert found["wrong"] == []
    assert found["grown"] < mutants.LIMIT
    endings = found["endings"]
    assert sum(endings.values()) == mutants.COUNT
    for kind in mutants.KINDS:
        assert endings.get(f"{kind}: refused", 0) > 0 or kind == "wrapped"
    assert {"code: opened", "truncated: opened", "expanded: opened", "not finite: opened"}.isdisjoint(endings)
    # some mutations leave a whole network
    assert endings["wrapped: opened"] > 0
    assert endings["flipped: opened"] > 0
