"""How this folder was made: `python make.py SOURCE` with the nuclei of the 2018 Data Science Bowl in SOURCE.

SOURCE holds image/ID.jpg (256x256 centre crops), inst/ID.png (the number of the nucleus at each pixel, 0 where there
is none) and split.csv (id, modality, split, stain). README.md says where they come from.
"""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
BACKGROUND = {"pale": 64, "purple": 0}
BORDER, NUCLEUS = 128, 255


def nuclei_map(numbers: np.ndarray, background: int) -> np.ndarray:
    """Nuclei 255 on the background, 128 where one of the four neighbours of a nucleus pixel has another number."""
    padded = np.pad(numbers, 1, mode="edge")
    inner = (slice(1, -1), slice(1, -1))
    border = np.zeros(numbers.shape, bool)
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        border |= np.roll(padded, shift, axis)[inner] != numbers
    return np.where(numbers == 0, background, np.where(border, BORDER, NUCLEUS)).astype(np.uint8)


def write_table(path: Path, rows: list[dict[str, str]], columns: list[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(source: Path) -> None:
    with (source / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    stained = [row for row in rows if row["modality"] == "stained"]
    fluorescence = [row for row in rows if row["modality"] == "fluo"]
    for folder in ("stained/A", "stained/B", "fluorescence"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    for row in stained:
        numbers = np.asarray(Image.open(source / "inst" / f"{row['id']}.png"))
        drawn = Image.fromarray(nuclei_map(numbers, BACKGROUND[row["stain"]]))
        drawn.save(HERE / "stained/A" / f"{row['id']}.png", optimize=True)
        shutil.copyfile(source / "image" / f"{row['id']}.jpg", HERE / "stained/B" / f"{row['id']}.jpg")
    for row in fluorescence:
        shutil.copyfile(source / "image" / f"{row['id']}.jpg", HERE / "fluorescence" / f"{row['id']}.jpg")
    write_table(HERE / "stained/split.csv", stained, ["id", "split", "stain"])
    write_table(HERE / "fluorescence/split.csv", fluorescence, ["id", "split"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
