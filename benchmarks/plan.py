"""How right a plan is: the seconds that it promises for each kind of stage, against those that the stage took.

Short recipes of pix2pix, CycleGAN and GauGAN on the bundled nuclei; what is finished before a stage counts for
neither side. A plan is right within a factor of 1.5.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np
from PIL import Image

from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.methods.fast_gan_compression import FastGanCompression
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.store import Store
from pocketgan.recipes.games import GAMES
from pocketgan.runs.run import estimate_seconds
from pocketgan.runtime import Runtime
from pocketgan.search import Random
from pocketgan.training.schedule import Schedule

NUCLEI = measure.ROOT / "examples" / "nuclei" / "stained"
#: those whose time is worth a promise
MIN_SECONDS = 2.0


def tasks(size: int, home: Path) -> dict[str, Task]:
    """Pairs, the same images without pairs, and their maps as label maps of two classes."""
    for part in ("label", "image"):
        (home / part).mkdir()
    for image in sorted((NUCLEI / "B").glob("*.jpg")):
        nuclei = np.asarray(Image.open(next((NUCLEI / "A").glob(f"{image.stem}.*"))).convert("L")) > 127
        Image.fromarray(nuclei.astype(np.uint8)).save(home / "label" / f"{image.stem}.png")
        shutil.copyfile(image, home / "image" / image.name)
    return {
        "pix2pix": open_task(NUCLEI, size=size, channels=(3, 3)),
        "cyclegan": open_task(NUCLEI, size=size, unpaired=True, channels=(3, 3)),
        "gaugan": open_task(home, size=size),
    }


def recipe_of(name: str, task: Task, quick: bool) -> Recipe:
    game = GAMES[name]
    epochs = Schedule(constant=1, decay=0 if quick else 1, batch_size=game.batch_size)
    parts = game.parts(8 if quick else 32, 8 if quick else 64, in_channels=task.in_channels)
    settings = FastGanCompression(
        **parts.fields,
        teaching=epochs,
        space="8_4" if quick else "24_16_8",
        supernet=epochs,
        search=Random(candidates=2 if quick else 12),
        tuning=None,
    )
    return settings.recipe(name, task, Budget(macs=10**12))


def rows_of(name: str, task: Task, runtime: Runtime, quick: bool) -> list[dict[str, Any]]:
    recipe, rows = recipe_of(name, task, quick), []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        promised = estimate_seconds(recipe, store, runtime)
        for stage_name, stage in recipe.all_stages.items():
            store.realise(stage, runtime)
            took = store.seconds(stage)
            if took >= MIN_SECONDS or quick:
                row = {"game": name, "stage": stage_name, "planned_s": promised[stage_name], "took_s": took}
                rows.append(row | {"ratio": measure.figure(promised[stage_name] / max(took, 0.05))})
    return rows


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--device", default="cpu")
    own.add_argument("--size", type=int, default=64)
    chosen = measure.options(__doc__ or "", turns=1, threads=2, own=own)
    names = ("pix2pix",) if chosen.quick else tuple(GAMES)[:3]
    if chosen.quick:
        chosen.size = 32
    runtime = Runtime(device=chosen.device)
    with tempfile.TemporaryDirectory() as home:
        every = tasks(chosen.size, Path(home))
        rows = [row for name in names for row in rows_of(name, every[name], runtime, chosen.quick)]
    for row in rows:
        row["planned_s"] = measure.figure(row["planned_s"])
    measure.report("plan", chosen, rows, device=chosen.device, size=chosen.size)


if __name__ == "__main__":
    main()
