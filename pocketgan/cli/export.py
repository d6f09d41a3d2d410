"""The verb that writes a model for the runtimes that serve it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pocketgan.cli.foreign import export_official
from pocketgan.cli.options import ModelText, Overwrite, Sides, read_sides
from pocketgan.cli.show import say
from pocketgan.errors import unknown


def export(
    model: ModelText,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="One or several of onnx, openvino, executorch, coreml, torch; or official: a checkpoint for the "
            "papers' own code.",
        ),
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File, or its name before the dot; default MODEL here.",
        ),
    ] = None,
    size: Sides = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(
            help="fp16: weights in 16 bits, half the file; int8: convolutions in 8, calibrated on images."
        ),
    ] = "fp32",
    fixed: Annotated[bool, typer.Option("--fixed", help="For one image of --size only.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Images to verify and calibrate on; default those of the run."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model for the runtimes that serve it, verified against PyTorch, or for the papers' own code."""
    from pocketgan.api.verbs import check_target
    from pocketgan.api.verbs import export as write
    from pocketgan.deploy.runtimes import runtimes_by_format

    runtimes = runtimes_by_format()
    formats = format_.split(",")
    for name in formats:
        if name not in (known := [*runtimes, "official"]):
            raise unknown("format", name, known)
        if name != "official":
            runtimes[name].check(precision)
    stem = Path(model).resolve().name.replace(":", "-")
    suffixes = {name: ".pth" if name == "official" else runtimes[name].suffix for name in formats}
    whole = out is not None and len(formats) == 1 and bool(out.suffix or out.exists())
    targets = {
        name: out if out and whole else (out or Path()).parent / f"{out.name if out else stem}{suffix}"
        for name, suffix in suffixes.items()
    }
    for name, target in targets.items():
        check_target(target, name, overwrite)
    for name, target in targets.items():
        if name == "official":
            export_official(model, target)
            continue
        verified = write(
            model,
            target,
            format=name,
            precision=precision,
            size=read_sides(size),
            fixed=fixed,
            data=data,
            overwrite=overwrite,
        )
        say(f"{target}: {runtimes[name].bytes_of(target):,} bytes, {verified}")
