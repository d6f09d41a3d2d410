"""What the bundled ESPNet recognises in real street scenes: the mean IoU on CamVid's test set.

The images lie beside the repository at 256 x 192; the network was trained at 480 x 360, and its authors report 55.6
on the originals. It sees them as they are, and enlarged to the size of its training.
"""

from __future__ import annotations

import sys

import measure
import torch

from pocketgan.data.images import list_images, read_rgb, to_tensor
from pocketgan.data.labels import decode_map
from pocketgan.metrics.bootstrap import Contributions, resample
from pocketgan.metrics.segmentation import CAMVID_CLASSES, espnet, iou

DATA = measure.ROOT.parent / "shared" / "data" / "camvid_256"
SIZES = {"as they are": None, "enlarged": (360, 480)}


def main() -> None:
    chosen = measure.options(__doc__, turns=1, threads=1)
    if not DATA.exists():
        sys.exit("the street scenes are not beside the repository")
    files = list_images(DATA / "test")[: 4 if chosen.quick else None]
    maps = {file.stem: DATA / "testannot" / f"{file.stem}.png" for file in files}
    images = {file.stem: read_rgb(file) for file in files}
    height, width = next(iter(images.values())).shape[:2]
    rows = []
    for seen, size in SIZES.items():
        score = espnet(
            lambda name: decode_map(maps[name].read_bytes(), maps[name]), "camvid", size or (height, width)
        )
        per_image = torch.cat([score(to_tensor(image[None]), [name]) for name, image in images.items()])
        figures = score.figures(per_image)
        ends = resample({name: Contributions.of(figure, paired=True) for name, figure in figures.items()}, seed=0)
        rows.append(
            {
                "images": seen,
                "size": "{1} x {0}".format(*(size or (height, width))),
                **{name: measure.figure(figure.value) for name, figure in figures.items()},
                **{f"{name}_95": [measure.figure(end) for end in each.interval] for name, each in ends.items()},
                **{
                    f"iou_{name}": measure.figure(float(value))
                    for name, value in zip(CAMVID_CLASSES, iou(per_image.sum(0)), strict=True)
                },
            }
        )
    measure.report("segmentation", chosen, rows, images=len(files), seed=0, authors_miou_480x360=55.6)


if __name__ == "__main__":
    main()
