"""The verb that puts recipes side by side: study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from pocketgan.cli.options import (
    Crop,
    Device,
    Flip,
    Json,
    LoadSize,
    Precision,
    Quiet,
    Rotate,
    Unpaired,
    read_sides,
    read_sight,
)
from pocketgan.cli.show import command_line, print_json, say, table
from pocketgan.errors import SpecError
from pocketgan.progress import progress_shown


def study(
    name: Annotated[str | None, typer.Argument(help="A name from --list.", show_default=False)] = None,
    data: Annotated[Path | None, typer.Argument(help="Folder of images.", show_default=False)] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many; more may be added later.")] = 3,
    seconds: Annotated[float, typer.Option(help="Processor time of a contestant, its teachers included.")] = 150.0,
    size: Annotated[str, typer.Option(help="Side of the images, or height x width as 256x512.")] = "64",
    load_size: LoadSize = None,
    crop: Crop = False,
    flip: Flip = True,
    rotate: Rotate = False,
    width: Annotated[int, typer.Option(min=1, help="Base width of the teacher and of discriminators.")] = 32,
    direction: Annotated[Literal["AtoB", "BtoA"], typer.Option(help="What becomes what.")] = "AtoB",
    unpaired: Unpaired = None,
    precision: Precision = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Study folder; default runs/study-NAME.")] = None,
    device: Device = "auto",
    show_list: Annotated[bool, typer.Option("--list", help="The studies, and do nothing.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Put recipes side by side over several seeds: one table, one plot, and whether a paper's order was seen."""
    if show_list:
        return _list(as_json)
    if name is None:
        raise SpecError("a study has a name; choose one of `pocketgan study --list`")

    from pocketgan.studies.catalog import study_named

    chosen = study_named(name)
    if data is None:
        raise SpecError(f"study {name} needs images; name their folder: pocketgan study {name} DATA")
    if not (math.isfinite(seconds) and seconds > 0):
        raise SpecError(f"--seconds {seconds:g} is no time to train in; give a positive number, e.g. 150")

    from pocketgan.data.task import open_task
    from pocketgan.report.study_table import claims, figures, summary
    from pocketgan.runtime import Runtime
    from pocketgan.studies.run import run_study
    from pocketgan.studies.setting import Setting

    setting = Setting(
        task=open_task(
            data,
            direction=direction,
            size=read_sides(size) or 64,
            **read_sight(load_size, crop, flip, rotate),
            unpaired=unpaired,
        ),
        seconds=seconds,
        teacher_width=width,
        discriminator_width=width,
        precision=precision or "fp32",
    )
    folder = out or Path("runs") / f"study-{name}"
    with progress_shown(quiet=quiet) as progress:
        made = run_study(chosen, setting, folder, range(seeds), Runtime(device=device), command_line(), progress)
    if as_json:
        return print(made.model_dump_json(indent=1))
    if not quiet:
        table(*figures(made))
        if made.headlines:
            table(*claims(made))
        say(summary(made))
    print(folder / "study.html")


def _list(as_json: bool) -> None:
    from pocketgan.studies.catalog import STUDIES

    rows = [
        {"name": each.name, "about": each.about, "source": each.source, "data": each.data or "images"}
        for each in STUDIES.values()
    ]
    if as_json:
        return print_json(rows)
    table(["study", "data", "about"], [[row["name"], row["data"], row["about"]] for row in rows])
