"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pocketgan.errors import DataError, SpecError, unknown

Data = Annotated[
    Path, typer.Argument(help="Folder of images: pairs, two sets, or label maps with photos.", show_default=False)
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; default runs/NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change one setting, e.g. supernet.constant=40.")]
ModelText = Annotated[
    str,
    typer.Argument(help="Model folder, run folder or spec like mobile-resnet:48; profile takes ONNX files too."),
]
Sides = Annotated[
    str | None,
    typer.Option("--size", help="Side of the images, or height x width as 256x512; default the model's, else 256."),
]
LoadSize = Annotated[
    str | None,
    typer.Option(
        "--load-size",
        help="Resize images to this side first, and learn from random crops of --size; scores are of the middle.",
    ),
]
Crop = Annotated[
    bool, typer.Option("--crop", help="Learn from random crops of --size, of images that are not resized.")
]
Flip = Annotated[
    bool, typer.Option("--flip/--no-flip", help="Mirror at random in training; not for text or road signs.")
]
Rotate = Annotated[
    bool, typer.Option("--rotate", help="Turn by 90 degrees at random in training, as for microscopy.")
]
Unpaired = Annotated[
    bool | None,
    typer.Option("--unpaired/--paired", help="Whether two folders are pairs; default by the names in them."),
]
Classes = Annotated[
    int | None, typer.Option(min=1, help="Classes of label maps; default as published, else the largest label + 1.")
]
Weights = Annotated[
    list[str] | None, typer.Option(help="Weights of a feature network, as inception=FILE (repeatable).")
]
Precision = Annotated[
    Literal["fp32", "bf16"] | None,
    typer.Option(help="Of the trainings: bf16 is faster where the device has it; default fp32."),
]
Images = Annotated[
    Path | None, typer.Option("--data", help="Where the images of the run are now, if they were moved.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Start even if it takes long.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Recipe_ = Annotated[str, typer.Argument(help="A name from `pocketgan list`.", show_default=False)]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the images.")]
BudgetOption = Annotated[str | None, typer.Option("--budget", help="Another budget than the recipe's.")]


def read_sides(text: str | None, option: str = "--size") -> tuple[int, int] | None:
    """Height and width from '256' or '256x512'."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise SpecError(f"{option} '{text}' cannot be read; write a side as 256, or height x width as 256x512")
    return int(sides[0]), int(sides[-1])


def read_sight(load_size: str | None, crop: bool, flip: bool, rotate: bool) -> dict[str, Any]:
    """How training sees images, as arguments of `open_task`."""
    sides = read_sides(load_size, "--load-size")
    return dict(load_size=sides, crop=crop, centre=sides is not None, flip=flip, rotate=rotate)


def read_weights(texts: Iterable[str]) -> dict[str, Path]:
    """Files of weights by the name of their network, from NAME=FILE texts."""
    from pocketgan.metrics.catalog import NETWORKS
    from pocketgan.pretrained.perceptual import NAMES

    found = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise SpecError(f"--weights '{text}' cannot be read; write NAME=FILE, as inception=weights.safetensors")
        if name not in (known := {*NETWORKS, *NAMES}):
            raise unknown("network", name, known)
        if not Path(file).is_file():
            raise DataError(f"{file}, given as the weights of {name}, is no file; mend its name")
        found[name] = Path(file)
    return found
