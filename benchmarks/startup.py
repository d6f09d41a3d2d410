"""How long `pocketgan --help` takes to answer, beside an empty Python. Aim: under 0.5 seconds, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import measure

AIM_S = 0.5


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    chosen = measure.options(__doc__, turns=10, threads=1)
    pocketgan = str(Path(sys.executable).with_name("pocketgan"))
    loads_torch = run(sys.executable, "-c", "import pocketgan.cli, sys; print('torch' in sys.modules)").strip()
    times = measure.in_turns(
        {
            "pocketgan --help": lambda: run(pocketgan, "--help"),
            "empty python": lambda: run(sys.executable, "-c", ""),
        },
        chosen.turns,
    )
    rows = [
        {
            "command": name,
            "median_s": measure.figure(own.median),
            "quartiles_s": [measure.figure(t) for t in own.quartiles],
        }
        for name, own in times.items()
    ]
    measure.report("startup", chosen, rows, aim_seconds=AIM_S, imports_torch=loads_torch == "True")


if __name__ == "__main__":
    main()
