"""What is done with one network: load, profile, translate, evaluate, export."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from pocketgan.data.labels import LabelMaps
from pocketgan.data.samples import Split
from pocketgan.data.task import Direction, Task, open_task
from pocketgan.data.values import Range
from pocketgan.deploy.exported import open_model
from pocketgan.deploy.metadata import describe
from pocketgan.deploy.profile import profile_model, profile_network
from pocketgan.deploy.runtimes import runtimes_by_format
from pocketgan.deploy.serving import Precision
from pocketgan.deploy.ship import Verified, export_verified
from pocketgan.deploy.translate import Translation, translate_images
from pocketgan.errors import DataError, OutputError, SpecError, unknown
from pocketgan.files import path_of
from pocketgan.metrics.evaluation import Evaluation
from pocketgan.metrics.on_task import evaluator_on
from pocketgan.metrics.pool import pool
from pocketgan.metrics.protocols import Protocol
from pocketgan.models import Model, find_model, of_images
from pocketgan.networks import Generator
from pocketgan.pretrained.weights import cache_folder
from pocketgan.runs.images import selection_of
from pocketgan.runtime import Runtime
from pocketgan.tracing.trace import trace
from pocketgan.units import Size, both_sides

#: a network, or where one is: a model folder, a run folder, or a spec like mobile-resnet:48
ModelLike = nn.Module | Path | str


def load(folder: Path | str) -> nn.Module:
    """The generator of a model folder, a run folder or a spec string, in evaluation mode.

    It takes images (batch, channels, height, width) in [-1, 1] and gives such. Its spec is `.spec`.

        >>> import torch, pocketgan as pg
        >>> network = pg.load("mobile-resnet:8")
        >>> network(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 3, 64, 64])

    Raises `DataError` or `SpecError` where there is none.
    """
    return _named(folder).network  # type: ignore[no-any-return]


def profile(
    model: ModelLike,
    size: int | Size | None = None,
    *,
    runtimes: Sequence[str] = (),
    threads: int = 1,
    layers: bool = False,
    channels: int | None = None,
) -> dict[str, Any]:
    """What a network costs: `params`, `macs` (the papers' count), `true_macs`, `size_bytes` and `latency_ms`.

        >>> import pocketgan as pg
        >>> pg.profile("resnet:64", 256)["macs"]
        56831770624

    Args:
        model: any module, or where one is; a file for a runtime too, of which size and latency are told.
        size: side of the image in pixels, or height and width; default the model's, else 256.
        runtimes: measure the latency there, such as "onnxruntime", in milliseconds.
        threads: of that measurement.
        layers: one entry for each layer besides.
        channels: of the images of a module that is not of this package; default the first of 3, 1, 4 and 2 that it
            takes.

    Raises `SpecError` for a size that the network cannot take, or a module that cannot be traced.
    """
    sides = None if size is None else both_sides(size)
    if isinstance(model, nn.Module):
        return profile_network(_model(model, sides or (256, 256), channels), sides, list(runtimes), threads, layers)
    return profile_model(str(model), sides, list(runtimes), threads, layers)


def translate(
    model: ModelLike,
    images: Path | str | Iterable[Path | str],
    out: Path | str,
    *,
    size: int | Size | None = None,
    style_seed: int | None = None,
    dropout_seed: int | None = None,
    instances: Path | str | None = None,
    range_: Range | None = None,
    overwrite: bool = False,
    tile: int | None = None,
    device: str = "auto",
) -> Translation:
    """Write the model's picture of each image into the folder `out`, under its name: as `pocketgan translate`.

    Args:
        model: a network, or where one is, or an exported file, which runs in its own runtime.
        images: files, or folders of files.
        size: side, or height and width, in pixels to resize to first; default each image's own size.
        style_seed, dropout_seed, instances, overwrite: as of the command line.
        range_: values of the images that are black and white; default as learnt.
        tile: side of the tiles that larger pictures are made in; 0 for none, default where that saves memory.

    Returns how many pictures there are, and what was done to the images first.

    Raises `DataError`, `SpecError`, `OutputError`: what cannot be read, does not fit the model, cannot be written.
    """
    try:
        every: list[Any] = [images] if isinstance(images, (str, Path)) else list(images)
    except TypeError:  # None, say
        every = [images]
    if not every:
        raise SpecError("there are no images to translate; name files, or a folder of them")
    return translate_images(
        _served(model, (256, 256)),
        [path_of(each, "an image to translate") for each in every],
        path_of(out, "out"),
        None if size is None else both_sides(size),
        style_seed=style_seed,
        dropout_seed=dropout_seed,
        instances=None if instances is None else Path(instances),
        range_=range_,
        overwrite=overwrite,
        tile=tile,
        device=Runtime(device=device).place,
    )


class Scored(NamedTuple):
    """The scores, and of what and how they were taken."""

    evaluation: Evaluation
    task: Task
    protocol: Protocol
    models: int


def evaluate(model: ModelLike | Sequence[ModelLike], data: Path | str, **options: Any) -> Evaluation:
    """The scores of a model on the held-out images of a folder, with 95 % intervals: as `pocketgan evaluate`.

        scores = pg.evaluate("runs/demo", "path/to/pairs").scores
        a.save("before"); pg.evaluate(network, "path/to/pairs", size=128, metrics=["l1", "ssim"])

    Args:
        model: a network, or where one is, or an exported file; several of one recipe, say of other seeds, are
            scored as their mean.
        data: folder of images.
        options: those of `scored`.

    Raises `DataError`, `SpecError` for data that do not fit the model, and for metrics that do not fit the data.
    """
    return scored(model, data, **options).evaluation


def scored(
    model: ModelLike | Sequence[ModelLike],
    data: Path | str,
    *,
    metrics: Sequence[str] | None = None,
    protocol: str = "held-out",
    split: Split | Literal["all"] | None = None,
    size: int | Size | None = None,
    direction: Direction | None = None,
    unpaired: bool | None = None,
    classes: int | None = None,
    teacher: ModelLike | None = None,
    segmenter: str | None = None,
    weights: Mapping[str, Path | str] | None = None,
    statistics: Path | str | None = None,
    device: str = "auto",
) -> Scored:
    """`evaluate`, and of what and how the scores were taken.

    Args:
        metrics: default those that suit the data and need no download.
        protocol: held-out, paired-val, gan-compression-unpaired, cut-120-140 or pseudo-pair.
        split: which split, or all images of the folder; default the protocol's, test.
        size: side in pixels, or height and width; default the model's.
        direction, unpaired, classes: as of `compress`; default the model's.
        teacher: the model that the metrics teacher_... compare with.
        segmenter: for miou: an ONNX file, or a name.
        weights: files of weights of feature networks, by their names.
        statistics: an .npz with mu and sigma of the real images, for FIDs.
    """
    several = isinstance(model, Sequence) and not isinstance(model, str)
    every: Sequence[Any] = model if several else [model]  # type: ignore[assignment]
    if not every:
        raise SpecError("there is no model to evaluate; give an nn.Module, a model or run folder, or several")
    folder = path_of(data, "data")
    asked, place = None if size is None else both_sides(size), Runtime(device=device).place
    found = [_served(each, asked or (256, 256)) for each in every]
    sides = asked or found[0].size
    of_teacher = None if teacher is None else _served(teacher, sides)
    for each in [*found, *([of_teacher] if of_teacher else [])]:
        each.spec.check_size(*sides)
    way = direction or found[0].card.get("direction", "AtoB")
    labels = None if classes else found[0].card.get("labels")
    task = open_task(
        folder,
        direction=way,
        size=sides,
        **({} if asked else found[0].sight),
        unpaired=unpaired,
        classes=classes,
        labels=LabelMaps.model_validate(labels) if labels else None,
        values=found[0].domains(way),
    )
    for each in found:
        if (each.spec.in_channels, each.spec.out_channels) != (task.in_channels, task.out_channels):
            raise DataError(
                f"a model makes {each.spec.out_channels} channels of {each.spec.in_channels}, and {data} is to be "
                f"read with {task.out_channels} of {task.in_channels}; evaluate models on data of their own kind"
            )
    with TemporaryDirectory() as pixels:
        evaluator = evaluator_on(
            task,
            Path(pixels),
            protocol=protocol,
            split=split,
            metrics=metrics,
            segmenter=segmenter,
            weights={name: Path(file) for name, file in (weights or {}).items()},
            teacher=of_images(of_teacher.network.to(place)) if of_teacher else None,
            statistics=None if statistics is None else Path(statistics),
            cache=cache_folder() / "features",
            device=place,
        )
        results = [evaluator(of_images(each.network.to(place)), intervals=True) for each in found]
    return Scored(pool(results) if len(results) > 1 else results[0], task, evaluator.protocol, len(results))


def export(
    model: ModelLike,
    out: Path | str,
    *,
    format: str | None = None,
    precision: Precision = "fp32",
    size: int | Size | None = None,
    fixed: bool = False,
    data: Path | str | None = None,
    overwrite: bool = False,
) -> Verified:
    """Write a network as a file of a runtime's format; it appears only if the runtime's output equals PyTorch's.

        pg.export(network, "small.onnx", size=256)
        pg.export("runs/demo", "small.xml", precision="int8")

    Args:
        out: the file.
        format: onnx, openvino, executorch, coreml or torch; default by the file's ending.
        precision: fp16: weights in 16 bits; int8: convolutions in 8, calibrated on images.
        size: side in pixels, or height and width; default the model's, else 256.
        fixed: for one image of that size only; default any size and number, where the format can.
        data: images to verify and calibrate on; default those of the run.
        overwrite: whether it may replace a file that is there.

    Returns how far it is from PyTorch, on how many images.

    Raises `SpecError` for a runtime that is not installed, `OutputError` for a place that cannot be written,
    `PocketGANError` for a network that does not export, or a file that differs too much.
    """
    runtimes, target = runtimes_by_format(), Path(out)
    if format is None:
        ends = {runtime.suffix: name for name, runtime in runtimes.items()}
        if target.suffix not in ends:
            raise unknown("ending of an export", target.suffix or target.name, ends)
        format = ends[target.suffix]
    if format not in runtimes:
        raise unknown("format", format, runtimes)
    runtime = runtimes[format]
    runtime.check(precision)
    check_target(target, format, overwrite)
    sides = None if size is None else both_sides(size)
    found = _model(model, sides or (256, 256))
    sides = sides or found.size
    found.spec.check_size(*sides)
    text = "" if isinstance(model, nn.Module) else str(model)
    images = selection_of(text, found, sides, None if data is None else Path(data))
    verified = export_verified(
        found.network,
        sides,
        target,
        images,
        runtime=runtime.name,
        precision=precision,
        fixed=fixed,
        facts=found.card,
    )
    describe(target, None if found.spec.kind == "spade" else found.source, found.target)
    return verified


def check_target(target: Path, format: str, overwrite: bool) -> None:
    """Raise unless a file of this format may be written there."""
    runtime = runtimes_by_format().get(format)
    if runtime and runtime.beside and target.suffix != runtime.suffix:
        raise SpecError(f"a file for {runtime.name} ends in {runtime.suffix}, and '{target}' does not")
    if (target.is_file() or (runtime and runtime.is_at(target))) and not overwrite:
        raise OutputError(f"{target} is there already; choose another --out, or say --overwrite")


def _named(place: Any) -> Model:
    """The model of a folder or a spec string."""
    if not isinstance(place, (str, Path)):
        raise SpecError(
            f"a {type(place).__name__} is no model; give an nn.Module, a model or run folder, or a spec like "
            "mobile-resnet:48"
        )
    return find_model(str(place))


def _model(model: ModelLike, size: Size, channels: int | None = None) -> Model:
    """A network with what is known of it; one of the user's is traced on images of this size."""
    if not isinstance(model, nn.Module):
        return _named(model)
    if not isinstance(model, Generator):
        device = next(iter(model.parameters()), torch.zeros(())).device
        channels = channels or _channels(model, size, device)
        model = trace(model, torch.rand(2, channels, *size, device=device) * 2 - 1).generator()
    return Model(model.eval(), model.spec, {})


def _served(model: ModelLike, size: Size) -> Model:
    """As `_model`; an exported file runs in its runtime."""
    return open_model(str(model)) if isinstance(model, (str, Path)) else _model(model, size)


@torch.no_grad()
def _channels(module: nn.Module, size: Size, device: torch.device) -> int:
    """How many channels the images of a user's module have: the first of the usual numbers that it takes."""
    own = copy.deepcopy(module).float().eval()
    for channels in (3, 1, 4, 2):
        with suppress(Exception):  # whatever a forward says of images that are not for it
            own(torch.zeros(1, channels, *size, device=device))
            return channels
    return 3
