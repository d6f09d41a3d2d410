"""Editing an image: the picture by what an edit changes, against a full recompute in the same runtime.

`speedup` is of an edit of 2 % that stays fast, in turns with a full forward. Sessions are what users do: several
edits of one image, each the part of another image in a square of 2 %, a wide and a high strip of that area, a
stroke and a dot, wherever. Their times count as they come: with edits that were made whole because they moved the
statistics of norms too far. The PSNR is that of fast pictures to the full recompute. Times are of the processor: on
one thread of a quiet machine they are those of the clock.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from torch import Tensor

import pocketgan as pg
from pocketgan.data.images import list_images, read_bytes, to_tensor
from pocketgan.data.raster import read_raster
from pocketgan.deploy.editor import Editor
from pocketgan.deploy.exported import open_model

SHARE = 0.02
#: of the edits of a session: which share of the image, and how many times as wide as high
EDITS = ((SHARE, 1.0), (SHARE, 8.0), (SHARE, 1 / 8), (SHARE / 4, 16.0), (SHARE / 8, 1.0))


def images_of(folder: Path, channels: int, size: int, count: int) -> list[Tensor]:
    """Square images of this side, each joined from as many of the folder's as it takes."""
    files = list_images(folder)
    side = min(read_raster(read_bytes(files[0]), files[0]).shape[:2])
    tiles = -(-size // side)
    made = []
    for number in range(count):
        place = number * 7
        rows = []
        for row in range(tiles):
            names = [files[(place + row * tiles + column) % len(files)] for column in range(tiles)]
            # a gray image in a file of three channels has three equal ones
            rows.append(np.concatenate([read_raster(read_bytes(name), name)[..., :channels] for name in names], 1))
        made.append(to_tensor(np.concatenate(rows)[None, :size, :size])[0])
    return made


def box_of(size: int, share: float, wide: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box of that share of a square, somewhere in it."""
    area = size**2 * share
    height, width = max(1, round((area / wide) ** 0.5)), max(1, round((area * wide) ** 0.5))
    top, left = int(rng.integers(0, size - height + 1)), int(rng.integers(0, size - width + 1))
    return top, left, top + height, left + width


def timed(call: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    began = time.process_time()
    return call(*given), time.process_time() - began


@torch.no_grad()
def row(name: str, runtime: str, model: str, images: list[Tensor], size: int, turns: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    network = open_model(model).network
    speedups, errors, whole = [], [], 0
    for image, other in itertools.pairwise(images):
        editor = Editor(model, image)
        for share, wide in EDITS:
            box = box_of(size, share, wide, rng)
            part = other[:, box[0] : box[2], box[1] : box[3]]
            made, own = timed(editor.edit, box, part)
            full, seconds = timed(network, editor.image)
            speedups.append(seconds / own)
            whole += made.exact
            mean = float((made.picture - full[0]).double().square().mean())
            if mean and not made.exact:  # where both images are empty there, nothing changes
                errors.append(10 * math.log10(4 / mean))
    editor = Editor(model, images[0])
    box = box_of(size, SHARE, 1, rng)
    same = images[0][:, box[0] : box[2], box[1] : box[3]]  # it costs as any other, and moves no statistics
    times = measure.in_turns(
        {"full": lambda: network(images[0][None]), "edit": lambda: editor.edit(box, same)}, turns, warm_up=2
    )
    return {
        "model": name,
        "runtime": runtime,
        "size": size,
        "full_ms": measure.figure(times["full"].cpu_median * 1e3),
        "edit_ms": measure.figure(times["edit"].cpu_median * 1e3),
        "speedup": measure.figure(times["full"].cpu_median / times["edit"].cpu_median),
        "edits": len(speedups),
        "made_whole": whole,
        "median_speedup": measure.figure(float(np.median(speedups))) if speedups else None,
        "least_speedup": measure.figure(min(speedups)) if speedups else None,
        "median_psnr": measure.figure(float(np.median(errors))) if errors else None,
        "least_psnr": measure.figure(min(errors)) if errors else None,
        "below_40_db": sum(error < 40 for error in errors),
    }


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--model", action="append", help="model folder or spec (default mobile-resnet:32)")
    own.add_argument("--images", type=Path, default=measure.ROOT / "examples" / "nuclei" / "fluorescence")
    own.add_argument(
        "--sessions", type=int, default=6, help="of five edits each; a third of them above 256 pixels (default 6)"
    )
    own.add_argument("--sizes", type=int, nargs="+", default=[256, 1024], help="sides (default 256 1024)")
    chosen = measure.options(__doc__, turns=7, threads=1, own=own)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(
            ["mobile-resnet:4"] if chosen.quick else chosen.model or ["mobile-resnet:32"]
        ):
            file = Path(folder) / f"{number}.onnx"
            pg.export(text, file, size=256)
            channels = open_model(text).spec.in_channels
            for size in [64] if chosen.quick else chosen.sizes:
                sessions = 1 if chosen.quick else chosen.sessions if size <= 256 else chosen.sessions // 3
                images = images_of(chosen.images, channels, size, sessions + 1)
                for runtime, model in (("torch", text), ("onnxruntime", str(file))):
                    rows.append(row(Path(text).name, runtime, model, images, size, chosen.turns))
    measure.report("editing", chosen, rows, share=SHARE)


if __name__ == "__main__":
    main()
