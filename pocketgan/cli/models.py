"""Verbs that use one model: profile, translate, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketgan.cli.foreign import export_official
from pocketgan.cli.options import Device, Json, ModelText, Sides, read_range, read_sides
from pocketgan.cli.show import print_json, progress_shown, table
from pocketgan.errors import OutputError, unknown
from pocketgan.folders import names_in

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]


def profile(
    model: ModelText,
    size: Sides = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(help=f"Measure latency on: {', '.join(names_in('deploy.runtimes'))} (repeatable)."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the latency measurement.")] = 1,
    layers: Annotated[bool, typer.Option("--layers", help="One line a layer.")] = False,
    as_json: Json = False,
) -> None:
    """Parameters, both MACs, size and measured latency of a network."""
    from pocketgan.deploy.profile import profile_model

    result = profile_model(model, read_sides(size), runtime or [], threads, layers)
    if as_json:
        return print_json(result)
    from pocketgan.deploy.profile import describe

    for name, value in describe(result):
        print(f"{name:28} {value}")
    if layers:
        keys = ["name", "kind", "out_shape", "params", "macs", "true_macs"]
        table(keys, [[str(layer[key]) for key in keys] for layer in result["layers"]])


def translate(
    model: ModelText,
    images: Annotated[list[Path], typer.Argument(help="Images or folders of images.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    size: Annotated[
        str | None,
        typer.Option(help="Resize to this side, or height x width, first; default each image's own size."),
    ] = None,
    style_seed: Annotated[
        int | None, typer.Option(min=0, help="One style for all images, of this seed; default each its own.")
    ] = None,
    dropout_seed: Annotated[
        int | None, typer.Option(min=0, help="Keep dropout on, drawn from this seed, as pix2pix does; default off.")
    ] = None,
    instances: Annotated[
        Path | None, typer.Option(help="Folder of the instance maps of label maps; default the labels themselves.")
    ] = None,
    range_: Annotated[
        str | None,
        typer.Option(
            "--range", help="Values of the images that are black and white, as 0:4095; default as learnt."
        ),
    ] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Run a model on images, or on label maps; each result has the image's name."""
    from pocketgan.data.images import readable
    from pocketgan.deploy.translate import translate_images
    from pocketgan.models import find_model
    from pocketgan.runtime import device_named

    found = find_model(model)
    with progress_shown() as progress:
        made = translate_images(
            found,
            images,
            out,
            read_sides(size),
            lambda done, total: progress("translate", done, total),
            style_seed=style_seed,
            dropout_seed=dropout_seed,
            instances=instances,
            range_=read_range(range_) if range_ else None,
            overwrite=overwrite,
            device=device_named(device),
        )
    print(f"{made.pictures} image{'s' * (made.pictures > 1)} written to {readable(str(out))}, {made.how}")
    for note in made.notes:
        print(f"note: {note}")


def export(
    model: ModelText,
    format_: Annotated[
        str, typer.Option("--format", help="onnx, or official: a checkpoint for the papers' own code.")
    ] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File; default MODEL.onnx or .pth here.")] = None,
    size: Sides = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model for the runtimes that serve it, verified against PyTorch, or for the papers' own code."""
    from pocketgan.deploy.metadata import describe
    from pocketgan.deploy.runtimes import runtimes_by_format
    from pocketgan.models import find_model

    runtimes = runtimes_by_format()
    if format_ not in (known := [*runtimes, "official"]):
        raise unknown("format", format_, known)
    name = Path(model).resolve().name.replace(":", "-")
    target = out or Path(name + (".pth" if format_ == "official" else runtimes[format_].suffix))
    if target.is_file() and not overwrite:
        raise OutputError(f"{target} is there already; choose another --out, or say --overwrite")
    if format_ == "official":
        return export_official(model, target)
    found = find_model(model)
    sides = read_sides(size) or found.size
    found.spec.check_size(*sides)
    export = runtimes[format_].export_verified
    assert export is not None, "it has a format"
    difference = export(found.network, sides, target, None)
    describe(target, None if found.spec.kind == "spade" else found.source, found.target)
    print(f"{target}: {target.stat().st_size:,} bytes, largest difference to PyTorch {difference:.1e}")
