"""Arguments and options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pocketgan.errors import SpecError

Data = Annotated[
    Path, typer.Argument(help="Folder of images: pairs, two sets, or label maps with photos.", show_default=False)
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; default runs/NAME.")]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Keep the stages here, for several runs that share some; default in the run folder."
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Where candidates of the search are kept, for workers on other machines: journal:PATH, "
        "postgresql://USER@HOST/DATABASE or grpc://HOST:PORT; default a journal in the store.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change one setting, e.g. seed=1.")]
ModelText = Annotated[
    str,
    typer.Argument(help="Model folder, run folder or spec like mobile-resnet:48."),
]
Sides = Annotated[
    str | None,
    typer.Option("--size", help="Side of the images, or height x width as 256x512; default the model's, else 256."),
]
Channels = Annotated[
    str | None,
    typer.Option(help="Channels of the images: 1, or 4:3 for A and for B; default as the files have them."),
]
Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--range",
        help="Values that are black and white, as 0:4095, A=-1000:3000 or B=0:1 (repeatable); default by the "
        "files: 0:255 of 8 bits, else found.",
    ),
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
    typer.Option(help="Precision of the trainings: bf16 is faster where the device has it; default fp32."),
]
Images = Annotated[
    Path | None, typer.Option("--data", help="Where the images of the run are now, if they were moved.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing on the way, and at the end only where the result is.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
Yes = Annotated[bool, typer.Option("--yes", help="Start even if it takes long.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Devices = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="GPUs of this machine (or processes, with --device cpu) that share the work; default 1, or those that "
        "torchrun or SLURM started.",
    ),
]
Nodes = Annotated[int, typer.Option(min=1, help="Machines that share the work, each with so many --devices.")]
Node = Annotated[int, typer.Option(min=0, help="Which of several machines this is, from 0.")]
Address = Annotated[
    str | None, typer.Option(help="HOST:PORT of the first of several machines, where the others find it.")
]
Recipe_ = Annotated[str, typer.Argument(help="A name from `pocketgan list`.", show_default=False)]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the images, for a recipe of the catalog.")
]
BudgetOption = Annotated[str | None, typer.Option("--budget", help="Another budget than the recipe's.")]

ServedOn = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="Where the budget's latency is bounded: a runtime and its threads, as openvino:2; default "
        "onnxruntime:1.",
    ),
]


def read_sides(text: str | None, option: str = "--size") -> tuple[int, int] | None:
    """Height and width from '256' or '256x512'."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise SpecError(f"{option} '{text}' cannot be read; write a side as 256, or height x width as 256x512")
    return int(sides[0]), int(sides[-1])


def read_tile(text: str | None) -> int | None:
    """The side of a tile; 0 for none."""
    if text is None:
        return None
    if text == "off":
        return 0
    if not (text.isascii() and text.isdigit() and int(text) >= 16):
        raise SpecError(f"--tile '{text}' cannot be read; write a side of at least 16 pixels, as 512, or off")
    return int(text)


def read_sight(load_size: str | None, crop: bool, flip: bool, rotate: bool) -> dict[str, Any]:
    """How training sees images, as arguments of `open_task`."""
    sides = read_sides(load_size, "--load-size")
    return dict(load_size=sides, crop=crop, centre=sides is not None, flip=flip, rotate=rotate)


def read_values(channels: str | None, ranges: Iterable[str]) -> dict[str, Any]:
    """What images hold, as arguments of `open_task`."""
    counts: list[int | None] = [None]
    if channels is not None:
        words = channels.split(":")
        if len(words) > 2 or not all(word.isascii() and word.isdigit() and int(word) for word in words):
            raise SpecError(f"--channels '{channels}' cannot be read; write 1, or 4:3 for those of A and of B")
        counts = [int(word) for word in words]
    found = {}
    for text in ranges:
        domain, equals, _ = text.partition("=")
        if equals and domain not in ("A", "B"):
            raise SpecError(f"--range '{text}' cannot be read; write 0:4095, A=0:4095 or B=0:4095")
        found[domain if equals else ""] = read_range(text[2:] if equals else text)
    return dict(channels=(counts[0], counts[-1]), ranges=found)


def read_range(text: str) -> tuple[float, float]:
    """Low and high from '0:4095'."""
    low, _, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = math.nan, math.nan
    if not all(map(math.isfinite, ends)) or ends[0] >= ends[1]:
        raise SpecError(f"--range '{text}' cannot be read; write the lower and the higher value, as 0:4095")
    return ends


def read_weights(texts: Iterable[str]) -> dict[str, Path]:
    """Files of weights by the name of their network, from NAME=FILE texts."""
    from pocketgan.metrics.catalog import files_of_weights

    found = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise SpecError(f"--weights '{text}' cannot be read; write NAME=FILE, as inception=weights.safetensors")
        found[name] = file
    return files_of_weights(found)


def with_precision(changes: list[str] | None, precision: str | None) -> list[str]:
    """The changes of settings, that of the precision among them."""
    return [*(changes or []), *([f"precision={precision}"] if precision else [])]
