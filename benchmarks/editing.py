"""Editing an image: the picture by what an edit changes, against a full recompute of the network.

Edits put the part of another image in the place of 2 % of one. Times are of edits and full forwards in turns. The
PSNR is that of the fast picture to the full recompute of the edited image, over the edits that were not made whole
because they moved the statistics of norms too far.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from torch import Tensor

from pocketgan.data.images import list_images, read_bytes, to_tensor
from pocketgan.data.raster import read_raster
from pocketgan.deploy.editor import Editor, Error
from pocketgan.models import Model, find_model

SHARE = 0.02


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


@torch.no_grad()
def row(name: str, model: Model, images: list[Tensor], size: int, turns: int) -> dict[str, Any]:
    side = round(size * SHARE**0.5)
    rng = np.random.default_rng(0)
    errors: list[Error] = []
    whole = 0
    for number, image in enumerate(images):
        editor = Editor(model.network, image)
        top, left = (int(rng.integers(0, size - side)) for _ in range(2))
        box = (top, left, top + side, left + side)
        other = images[(number + 1) % len(images)][:, top : top + side, left : left + side]
        if editor.edit(box, other).exact:
            whole += 1
        elif not np.isinf((error := editor.settle()).psnr):  # where both images are empty there, nothing changes
            errors.append(error)
    own, full = image[:, top : top + side, left : left + side].clone(), image[None]
    editor.edit(box, own, exact=True)
    calls = {"full": lambda: model.network(full), "edit": lambda: editor.edit(box, own)}  # it costs as any other
    times = measure.in_turns(calls, turns, warm_up=2)
    return {
        "model": name,
        "size": size,
        "full_ms": measure.figure(times["full"].median * 1e3),
        "edit_ms": measure.figure(times["edit"].median * 1e3),
        "speedup": measure.figure(times["edit"].speedup_over(times["full"])),
        "edits": len(images),
        "made_whole": whole,
        "median_psnr": measure.figure(float(np.median([error.psnr for error in errors]))) if errors else None,
        "least_psnr": measure.figure(min(error.psnr for error in errors)) if errors else None,
    }


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--model", action="append", help="model folder or spec (default mobile-resnet:32)")
    own.add_argument("--images", type=Path, default=measure.ROOT / "examples" / "nuclei" / "fluorescence")
    own.add_argument("--edits", type=int, default=8, help="edits whose error is measured at each size (default 8)")
    chosen = measure.options(__doc__, turns=11, threads=1, own=own)
    names = ["mobile-resnet:4"] if chosen.quick else chosen.model or ["mobile-resnet:32"]
    rows = []
    for name in names:
        model = find_model(name)
        for size in (64,) if chosen.quick else (256, 1024):
            count = 2 if chosen.quick else chosen.edits
            images = images_of(chosen.images, model.spec.in_channels, size, count)
            rows.append(row(Path(name).name, model, images, size, chosen.turns))
    measure.report("editing", chosen, rows, share=SHARE)


if __name__ == "__main__":
    main()
