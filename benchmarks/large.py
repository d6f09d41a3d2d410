"""Large pictures: the peak memory and the time of `pocketgan translate` as a whole process.

Each row is one process: it reads one picture, makes the network's picture of it, in tiles where that is large, and
writes it. The peak is the most that the process held in memory at once (VmHWM): with Python, PyTorch and what it
read, without temporary files. The networks are not trained: that changes neither figure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import numpy as np
import tifffile
from PIL import Image

import pocketgan as pg

#: the aim: a picture of 4,000 x 3,000 in under so many GB
AIM_GB = 1.5


def picture(path: Path, width: int, height: int) -> None:
    """Noise over slow waves, as no plain area is: in 16 bits where the file is a TIFF."""
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:height, :width]
    waves = np.sin(rows / 97)[..., None] + np.cos(columns / 61)[..., None] * np.array([1, 0.5, -1])
    values = (0.5 + 0.2 * waves + rng.uniform(-0.1, 0.1, (height, width, 1))).clip(0, 1).astype(np.float32)
    if path.suffix == ".tif":
        tifffile.imwrite(path, (values * 65535).astype(np.uint16), photometric="rgb")
    else:
        Image.fromarray((values * 255).astype(np.uint8)).save(path)


def peak_of(command: list[str], threads: int) -> tuple[float, float]:
    """GB that a process had in memory at most, and its seconds. The parent's own memory has no part in it."""
    began, peak = time.perf_counter(), 0
    own = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=own
    ) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            if found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text()):
                peak = max(peak, int(found[1]))
            time.sleep(0.02)
        assert process.stderr
        told = process.stderr.read()
    if process.returncode:
        raise SystemExit(told.strip().splitlines()[-1])
    return peak * 1024 / 1e9, time.perf_counter() - began


def row(model: str, path: Path, size: tuple[int, int], threads: int, more: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "pocketgan", "translate", model, str(path), "-o", out, *more]
        peak, seconds = peak_of(command, threads)
        (made,) = Path(out).iterdir()
        suffix = made.suffix
    print(f"{Path(model).name}, {path.name}: {peak:.2f} GB, {seconds:.0f} s", flush=True)
    return {
        "model": Path(model).name,
        "read": path.suffix[1:],
        "written": suffix[1:],
        "width": size[0],
        "height": size[1],
        "peak_gb": measure.figure(peak),
        "seconds": measure.figure(seconds),
    }


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--model", action="append", help="model folder, spec or exported file; may be repeated")
    own.add_argument("--formats", nargs="+", default=["png", "jpg", "tif"], choices=["png", "jpg", "tif"])
    chosen = measure.options(__doc__, turns=1, threads=1, own=own)
    size = (300, 200) if chosen.quick else (4000, 3000)
    small = "mobile-resnet:4" if chosen.quick else "mobile-resnet:12"
    more = ["--tile", "128"] if chosen.quick else []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        models = chosen.model or [
            small,
            str(Path(folder) / f"{small}.onnx"),
            *([] if chosen.quick else ["resnet:32"]),
        ]
        if not chosen.model:
            pg.export(small, models[1], size=256)
        for suffix in chosen.formats[:1] if chosen.quick else chosen.formats:
            path = Path(folder) / f"large.{suffix}"
            picture(path, *size)
            rows += [row(each, path, size, chosen.threads, more) for each in models]
    measure.report("large", chosen, rows, aim_gb=AIM_GB)


if __name__ == "__main__":
    main()
