"""The methods at full size, in slices: facades at 256 pixels, at 4.8, 2.5 and 1.2 G MACs, for a machine with a GPU.

Each call goes on where the one before has stopped, for at most `--slice` seconds, then asks what runs to save its
state; so the work fits into loans of minutes, and may move to another machine with its folder. Runs share their
stages: one teacher for all budgets of a method. From scratch is the guard of the in-place runs, with as many images
as these. Ends with code 0 when all is done, else with 3; the table is of what has a report until then.

    python benchmarks/full_size.py FACADES --direction BtoA --slice 520
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure

METHODS, BUDGETS = ("in-place", "fast-gan-compression", "omgd"), ("4.8G", "2.5G", "1.2G")
#: seconds in which a run saves its state when it is asked to end
SAVING = 30
#: the exit code of a run that has saved its state
STOPPED = 143
#: what is there to go on with
UNFINISHED = 3


def commands(chosen: argparse.Namespace) -> dict[str, list[str]]:
    """One run for each method and budget, in the order of their use."""
    shared = ["--size", chosen.size, "--direction", chosen.direction, "--effort", chosen.effort, "--yes", "--quiet"]
    shared += ["--store", str(chosen.out / "store"), *(word for each in chosen.set for word in ("--set", each))]
    found = {}
    for method in chosen.methods:
        guard = chosen.guard if method == "in-place" else "0"
        for budget in chosen.budgets:
            own = ["--method", method, "--budget", budget, *(["--set", f"guard={guard}"] if guard else [])]
            out = chosen.out / f"{method}-{budget}"
            found[out.name] = ["compress", str(chosen.data), *own, *shared, "--out", str(out)]
    return found


def carried_on(command: Sequence[str], seconds: float) -> int:
    """Run a command for so long at most, then let it save its state; its exit code."""
    process = subprocess.Popen(command)
    try:
        return process.wait(max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()  # it got the same signal


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """What the reports of a folder say of the networks that were made."""
    found = []
    for report in sorted(folder.glob("*/report.json")):
        content = json.loads(report.read_text())
        for row in content["rows"]:
            if row["scores"]:
                scores = {name: measure.figure(value) for name, value in row["scores"].items()}
                gmacs = measure.figure(row["macs"] / 1e9)
                found.append({"run": report.parent.name, "network": row["name"], "gmacs": gmacs, **scores})
    return found


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("data", type=Path, help="pairs of images")
    own.add_argument(
        "--out", type=Path, default=measure.ROOT / "runs" / "full-size", help="the runs and their store"
    )
    own.add_argument(
        "--slice", type=float, default=520.0, help="seconds of this call, saving included (default 520)"
    )
    own.add_argument("--size", default="256", help="side of the images (default 256)")
    own.add_argument("--direction", default="BtoA", choices=("AtoB", "BtoA"), help="what becomes what")
    own.add_argument("--effort", default="standard", help="quick, standard or paper (default standard)")
    own.add_argument("--guard", default="1", help="share of in-place's images from scratch; '' for the usual one")
    own.add_argument("--methods", nargs="+", default=METHODS, help="these alone")
    own.add_argument("--budgets", nargs="+", default=BUDGETS, help="these alone")
    own.add_argument("--set", action="append", default=[], help="a setting of all runs")
    chosen = measure.options(__doc__, turns=1, threads=1, own=own)
    end, code = time.monotonic() + chosen.slice - SAVING, 0
    for name, words in commands(chosen).items():
        print(name, flush=True)
        code = carried_on([sys.executable, "-m", "pocketgan", *words], end - time.monotonic())
        if code:
            break
    if rows := rows_of(chosen.out):
        measure.report("full_size", chosen, rows, size=chosen.size, effort=chosen.effort)
    if code:
        sys.exit(UNFINISHED if code == STOPPED else code)


if __name__ == "__main__":
    main()
