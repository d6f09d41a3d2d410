"""The verb that makes the norms of a finished network foldable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketgan.cli.options import Changes, Device, Json, Quiet, Sides, Yes, read_sides
from pocketgan.cli.runs import carry_out


def fold(
    model: Annotated[str, typer.Argument(help="Model folder or run folder.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option("--data", help="Images to learn from; default those of the run.")
    ] = None,
    images: Annotated[
        int, typer.Option(min=1, help="Training images, each time counted, in whole passes over the data.")
    ] = 2000,
    size: Sides = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; default runs/MODEL-folded.")] = None,
    set_: Changes = None,
    device: Device = "auto",
    yes: Yes = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a model with instance norm into one whose norms disappear when it is exported, and runs faster."""
    from pocketgan.api.fold import job_of_model
    from pocketgan.runtime import Runtime

    job = job_of_model(
        model,
        data=data,
        images=images,
        size=read_sides(size),
        out=out,
        changes=set_ or [],
        runtime=Runtime(device=device),
    )
    carry_out(job, yes, quiet, as_json)
