"""The README's picture and figures, from a finished demo: python benchmarks/demo_picture.py runs/demo

Writes docs/images/demo.png (rows: input, teacher or largest subnet, compressed, ground truth) and
benchmarks/results/demo.json,
which is the run's report.json.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

from pocketgan.data.cache import load_examples
from pocketgan.data.images import save_image
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.runs.run import store_of

COLUMNS = 8
ROOT = Path(__file__).resolve().parents[1]


def main(run: Path) -> None:
    recipe, store = read_recipe(run), store_of(run)
    examples = load_examples(recipe.task, "test", store.cache, training=False)
    shown = np.linspace(0, len(examples) - 1, COLUMNS).round().astype(int)
    rows = [examples.sources.pictures(shown)]
    for network in recipe.networks.values():
        rows.append(np.load(store.artifact(recipe.scores(network)) / "images.npy")[shown])
    rows.append(examples.targets.pictures(shown))
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    picture = ROOT / "docs" / "images" / "demo.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    save_image(sheet, picture)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    shutil.copyfile(run / "report.json", results / "demo.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
