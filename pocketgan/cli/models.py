"""Verbs that use one model: profile, evaluate, translate, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pocketgan.cli.foreign import export_official
from pocketgan.cli.options import Data, Json, ModelText, Sides, Size, read_sides
from pocketgan.cli.show import print_json, progress_shown, table
from pocketgan.errors import unknown


def profile(
    model: ModelText,
    size: Sides = None,
    runtime: Annotated[
        list[str] | None, typer.Option(help="Measure the latency on: onnxruntime, torch (repeatable).")
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


def evaluate(
    model: ModelText,
    data: Data,
    metrics: Annotated[str | None, typer.Option(help="Comma-separated; default all.")] = None,
    split: Annotated[Literal["train", "select", "test"], typer.Option(help="Which split.")] = "test",
    size: Size = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="What becomes what; default the model's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a model on image pairs, with 95 % confidence intervals."""
    import tempfile

    from pocketgan.data.batches import evaluation_batches
    from pocketgan.data.cache import load_pairs
    from pocketgan.data.task import open_task
    from pocketgan.metrics.evaluate import METRICS, Evaluator
    from pocketgan.models import find_model

    found = find_model(model)
    side = size or found.card.get("size", 256)
    found.spec.check_size(side)
    task = open_task(data, direction=direction or found.card.get("direction", "AtoB"), size=side)
    names = metrics.split(",") if metrics else list(METRICS)
    with tempfile.TemporaryDirectory() as cache:
        pairs = load_pairs(task, split, Path(cache), training=False)
        result = Evaluator(list(evaluation_batches(pairs, 16)), metrics=names)(found.network, intervals=True)
    content = {
        "model": model,
        "split": split,
        "images": len(result.names),
        "size": side,
        "data_digest": task.data_digest,
        "scores": result.scores,
        "intervals": result.intervals,
    }
    if as_json:
        return print_json(content)
    print(f"{len(result.names)} images of the {split} split at {side} pixels")
    rows = [
        [name, f"{value:.4g}", "{:.4g} to {:.4g}".format(*result.intervals[name]), METRICS[name].better]
        for name, value in result.scores.items()
    ]
    table(["metric", "score", "95 % interval", "better"], rows)


def translate(
    model: ModelText,
    images: Annotated[list[Path], typer.Argument(help="Images or folders of images.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    size: Annotated[
        int | None,
        typer.Option(min=0, help="Resize to this side first; default the model's; 0 keeps each image's own."),
    ] = None,
) -> None:
    """Run a model on images; each result is a PNG of the same name."""
    from pocketgan.deploy.translate import translate_images
    from pocketgan.models import find_model

    found = find_model(model)
    with progress_shown() as progress:
        count = translate_images(found, images, out, size, lambda done, total: progress("translate", done, total))
    print(f"{count} images written to {out}")


def export(
    model: ModelText,
    format_: Annotated[
        str, typer.Option("--format", help="onnx, or official: a checkpoint for the papers' own code.")
    ] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File; default MODEL.onnx or .pth here.")] = None,
    size: Size = None,
) -> None:
    """Write a model for the runtimes that serve it, verified against PyTorch, or for the papers' own code."""
    import torch

    from pocketgan.deploy.onnx import export_verified
    from pocketgan.models import find_model

    if format_ not in ("onnx", "official"):
        raise unknown("format", format_, ["onnx", "official"])
    name = Path(model).resolve().name.replace(":", "-")
    if format_ == "official":
        return export_official(model, out or Path(f"{name}.pth"))
    found = find_model(model)
    side = size or found.card.get("size", 256)
    found.spec.check_size(side)
    target = out or Path(f"{name}.onnx")
    probe = torch.rand(2, found.spec.in_channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    difference = export_verified(found.network, side, target, probe)
    print(f"{target}: {target.stat().st_size:,} bytes, largest difference to PyTorch {difference:.1e}")
