"""Verbs that use one model: profile, translate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pocketgan.cli.options import (
    Device,
    Json,
    Overwrite,
    Quiet,
    Sides,
    read_range,
    read_sides,
    read_tile,
)
from pocketgan.cli.show import facts, print_json, say, table
from pocketgan.folders import names_in
from pocketgan.progress import progress_shown
from pocketgan.units import number_text, si

#: operations of a smaller share of the time are shown as one
SHOWN = 0.01


def profile(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, run folder, spec like mobile-resnet:48, or exported file.",
            show_default=False,
        ),
    ],
    size: Sides = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Measure latency on: {', '.join(names_in('deploy.runtimes'))}; with its threads as onnxruntime:2 "
            "(repeatable)."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the latency measurement.")] = 1,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="A line for each layer, and with --runtime onnxruntime or openvino where its time goes.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Parameters, both MACs, size and measured latency of a network."""
    from pocketgan.deploy.profile import profile_model

    result = profile_model(model, read_sides(size), runtime or [], threads, layers)
    if as_json:
        return print_json(result)
    from pocketgan.deploy.profile import describe

    facts(describe(result))
    if found := result.get("layers"):
        print()
        rows = [
            [layer["name"], layer["kind"], _shape(layer["out_shape"])]
            + [si(layer[key]) for key in ("params", "macs", "true_macs")]
            for layer in found
        ]
        table(["layer", "kind", "output", "parameters", "MACs", "true MACs"], rows, right=3)
    for text, times in result.get("layer_times", {}).items():
        print()
        _show_times(text, times)


def _show_times(runtime: str, times: Sequence[Mapping[str, Any]]) -> None:
    """Where the time goes: by kinds of operations, then the operations that take most."""
    total = sum(each["ms"] for each in times)

    def figures(some: Iterable[Mapping[str, Any]]) -> list[str]:
        ms = sum(each["ms"] for each in some)
        return [f"{ms:.3f} ms", f"{ms / total:.1%}"]

    say(f"{runtime}: {len(times)} operations, {number_text(total)} ms in the median of each")
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for each in times:
        by_kind.setdefault(each["op"], []).append(each)
    kinds = sorted(by_kind.items(), key=lambda kind: -sum(each["ms"] for each in kind[1]))
    table(
        ["operation", "times", "time", "share"], [[op, str(len(own)), *figures(own)] for op, own in kinds], right=1
    )
    print()
    large = sorted((each for each in times if each["share"] >= SHOWN), key=lambda each: -each["ms"])
    rows = [[each["name"], each["op"], _shape(each["shape"]), *figures([each])] for each in large]
    if small := [each for each in times if each["share"] < SHOWN]:
        rows.append([f"{len(small)} others", f"below {SHOWN:.0%} each", "", *figures(small)])
    table(["layer", "operation", "output", "time", "share"], rows, right=3)


def _shape(lengths: Sequence[int]) -> str:
    """Without the batch: 64 x 128 x 128."""
    return " x ".join(map(str, lengths[-3:]))


def translate(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, run folder, spec like mobile-resnet:48, or exported file.", show_default=False
        ),
    ],
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
    tile: Annotated[
        str | None,
        typer.Option(help="Side of the tiles that larger pictures are made in, or off; default by their size."),
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Run a model on images, or on label maps; each result has the image's name."""
    from pocketgan.data.images import readable
    from pocketgan.deploy.exported import open_model
    from pocketgan.deploy.translate import translate_images
    from pocketgan.runtime import device_named

    found = open_model(model)
    with progress_shown(quiet=quiet) as progress:
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
            tile=read_tile(tile),
            device=device_named(device),
        )
    if quiet:
        return print(readable(str(out)))
    say(f"{made.pictures} image{'s' * (made.pictures > 1)} written to {readable(str(out))}, {made.how}")
    for note in made.notes:
        say(f"note: {note}")
