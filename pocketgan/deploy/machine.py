"""Which machine a figure was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Machine(BaseModel):
    """Where figures were measured: the processor's name, and how many logical cores it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    cores: int

    @classmethod
    def here(cls) -> Machine:
        """The machine that this runs on."""
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
            cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        except (OSError, StopIteration):
            cpu = platform.processor() or platform.machine()
        return cls(cpu=cpu, cores=os.cpu_count() or 1)
