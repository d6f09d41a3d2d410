"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pocketgan.errors import SpecError

Data = Annotated[Path, typer.Argument(help="Folder of image pairs.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; default runs/NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change one setting, e.g. supernet.constant=40.")]
ModelText = Annotated[
    str, typer.Argument(help="Model folder, run folder, ONNX file or spec like mobile-resnet:48.")
]
Size = Annotated[int | None, typer.Option(min=1, help="Side of the images; default the model's, else 256.")]
Sides = Annotated[
    str | None,
    typer.Option("--size", help="Side of the images, or height x width as 256x512; default the model's."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Recipe_ = Annotated[str, typer.Argument(help="A name from `pocketgan list`.", show_default=False)]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the image pairs.")]
BudgetOption = Annotated[str | None, typer.Option("--budget", help="Another budget than the recipe's.")]


def read_sides(text: str | None) -> tuple[int, int] | None:
    """Height and width from '256' or '256x512'."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise SpecError(f"--size '{text}' cannot be read; write a side as 256, or height x width as 256x512")
    return int(sides[0]), int(sides[-1])
