"""The machine that figures come from."""

import os
import platform
from pathlib import Path

import pytest

from pocketgan.deploy.machine import Machine


def test_the_processors_name_is_the_systems(monkeypatch: pytest.MonkeyPatch):
    text = "processor\t: 0\nmodel name\t: Fast CPU: 2 GHz\n\nprocessor\t: 1\nmodel name\t: Fast CPU: 2 GHz\n"
    monkeypatch.setattr(Path, "read_text", lambda path: text if path == Path("/proc/cpuinfo") else None)
    assert Machine.here() == Machine(cpu="Fast CPU: 2 GHz", cores=os.cpu_count())


@pytest.mark.parametrize("text", [None, "Hardware\t: board\n"])
def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, text: str | None):
    def read(path: Path) -> str:
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert Machine.here().cpu == "riscv64"
