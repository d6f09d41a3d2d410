"""How the models here were made: `python showcase.py [--runs FOLDER]`, some two hours of one core.

Call it again to go on after a stop.

`model`: from a drawn nuclei map to stained tissue, 256 pixels; smaller networks of the same run are in `front/`.
`staining`: from a fluorescence micrograph to stained tissue, without pairs; learnt on parts of 128 pixels.
Each gets the scores of the test images, with 95 % intervals, a few of them to start from, and a README.
"""

import argparse
import csv
import datetime
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

import pocketgan as pg
from pocketgan.models import load_model, save_model
from pocketgan.units import number_text, si

HERE = Path(__file__).resolve().parent
FRONT = ("0.8G", "1.1G", "1.3G")
EXAMPLES = 8
SHEET, COLUMNS = HERE.parents[1] / "docs" / "images" / "showcase.jpg", 6
LICENCE = "MIT, as PocketGAN; learnt from images in the public domain (CC0) alone"

NUCLEI: dict[str, Any] = dict(
    method="in-place",
    budget="3G",
    size=256,
    load_size=256,
    rotate=True,
    settings={
        "space": "24_20_16_12",
        # the map tells a pale background from a purple one by its level alone
        "form.input_skip": True,
        "form.ends": 7,
        "discriminator.width": 48,
        "schedule.constant": 32,
        "schedule.decay": 22,
        "schedule.batch_size": 1,
        "tuning.constant": 0,
        "tuning.decay": 12,
        "tuning.batch_size": 1,
        "search.population": 16,
        "search.generations": 3,
    },
)
STAINING: dict[str, Any] = dict(
    method="fast-gan-compression",
    budget="750M",
    size=128,
    crop=True,
    rotate=True,
    settings={
        "teacher": "mobile-resnet:28",
        "discriminator.width": 32,
        "teaching.constant": 8,
        "teaching.decay": 6,
        "teaching.batch_size": 1,
        # stained tissue is not to come out as it is: a generator that inverts brightness is wanted
        "objective.identity": 0,
        "space": "24_20_16_12",
        "supernet.constant": 3,
        "supernet.decay": 2,
        "supernet.batch_size": 2,
        "search.population": 12,
        "search.generations": 3,
        "distillation.lr": 1e-3,
    },
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are kept")
    runs = parser.parse_args().runs

    nuclei = pg.compress(HERE / "stained", out=runs / "showcase-nuclei", **NUCLEI)
    models = {"": nuclei.folder / "model"}
    for budget in FRONT:
        folder = runs / f"showcase-nuclei-{budget}"
        if not folder.exists():
            nuclei.pick(budget, out=folder)
        models[f"front/{budget}"] = folder / "model"
    ship(HERE / "model", "From a nuclei map to stained tissue", models, HERE / "stained")
    copy(HERE / "stained", HERE / "model" / "examples", ("A", "B"))
    sheet(HERE / "model", SHEET)

    sets = two_sets(runs / "staining")
    staining = pg.compress(sets, out=runs / "showcase-staining", **STAINING)
    models = {"": staining.folder / "model"}
    ship(HERE / "staining", "From a fluorescence micrograph to stained tissue", models, sets)
    copy(sets, HERE / "staining" / "examples", ("A",))


def ship(target: Path, title: str, models: dict[str, Path], data: Path) -> None:
    """Model folders, the first one in `target` itself, with their scores in their cards and in a README."""
    shutil.rmtree(target, ignore_errors=True)
    rows, warnings = [], ()
    for place, folder in models.items():
        found, scored = load_model(folder), pg.evaluate(folder, data)
        cost = pg.profile(folder)
        figures = {
            name: {"value": value, "interval": scored.intervals[name]} for name, value in scored.scores.items()
        }
        best = "fd_mobilenet_v2"
        card = {
            **found.card,
            "title": title,
            "licence": LICENCE,
            "scores": {"images": len(scored.names), "split": "test", **figures},
            "score": f"{best} {number_text(scored.scores[best])} on test",
        }
        save_model(target / place, found.network, card)
        rows.append({"model": place or ".", "MACs": si(cost["macs"]), "parameters": si(cost["params"])})
        for name, each in figures.items():
            low, high = map(number_text, each["interval"])
            rows[-1][name] = f"{number_text(each['value'])} ({low} to {high})"
        warnings = scored.warnings
        images, size = len(scored.names), found.size
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *(list(row.values()) for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    told = "".join(f"\n{warning[0].upper()}{warning[1:]}." for warning in warnings)
    height, width = size
    (target / "README.md").write_text(
        f"""# {title}

Made by `examples/nuclei/showcase.py` on {datetime.date.today():%-d %B %Y}, on one core of a CPU, one seed.
Licence: {LICENCE}.
Images of {height} x {width}; scores of {images} test images, with 95 % intervals over them.{told}

{table}

    pocketgan translate examples/nuclei/{target.name} examples/nuclei/{target.name}/examples/A/*.* -o pictures
    pocketgan demo examples/nuclei/{target.name}
"""
    )


def copy(data: Path, target: Path, domains: tuple[str, ...]) -> None:
    """Test images from all over the set, to start from."""
    with (data / "split.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and row.get("domain", "A") == "A"]
    for row in rows[:: -(-len(rows) // EXAMPLES)]:
        for domain in domains:
            (target / domain).mkdir(parents=True, exist_ok=True)
            for path in (data / domain).glob(f"{row['id']}.*"):
                shutil.copyfile(path, target / domain / path.name)


def sheet(model: Path, target: Path) -> None:
    """From above: inputs, the pictures of the cheapest and of the dearest network, ground truth."""
    cheapest, *_, dearest = sorted([model, *model.glob("front/*")], key=lambda each: pg.profile(each)["macs"])
    inputs = sorted((model / "examples" / "A").iterdir())[:COLUMNS]
    with TemporaryDirectory() as place:
        rows = [inputs]
        for number, network in enumerate((cheapest, dearest)):
            pg.translate(network, inputs, Path(place) / str(number))
            rows.append([next((Path(place) / str(number)).glob(f"{path.stem}.*")) for path in inputs])
        rows.append([next((model / "examples" / "B").glob(f"{path.stem}.*")) for path in inputs])
        pictures = [[np.asarray(Image.open(path).convert("RGB").resize((192, 192))) for path in row] for row in rows]
    Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in pictures], 0)).save(target, quality=90)


def two_sets(target: Path) -> Path:
    """Fluorescence as A and stained tissue as B, without pairs, with the splits that they have."""
    rows = []
    for domain, folder, name in (("A", HERE / "fluorescence", ""), ("B", HERE / "stained", "B")):
        (target / domain).mkdir(parents=True, exist_ok=True)
        for path in (folder / name).glob("*.jpg"):
            shutil.copyfile(path, target / domain / path.name)
        with (folder / "split.csv").open(newline="") as file:
            rows += [(row["id"], row["split"], domain) for row in csv.DictReader(file)]
    with (target / "split.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "split", "domain"), *rows])
    return target


if __name__ == "__main__":
    main()
