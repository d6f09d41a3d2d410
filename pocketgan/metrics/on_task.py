"""An evaluator of a task's images, as a protocol wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pocketgan.data.batches import evaluation_batches, target_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.images import read_bytes
from pocketgan.data.labels import CITYSCAPES, decode_map, read_palette
from pocketgan.data.layouts import read_layout
from pocketgan.data.samples import SPLITS, Split
from pocketgan.data.task import Task
from pocketgan.errors import DataError, SpecError, unknown
from pocketgan.metrics import segmentation
from pocketgan.metrics.evaluate import Evaluator
from pocketgan.metrics.protocols import find_protocol
from pocketgan.metrics.segmentation import Segmentation, train_ids
from pocketgan.metrics.stream import Stream

BATCH = 16

#: segmenters by name; any other comes as an ONNX file
SEGMENTERS = ("drn", "deeplab", "espnet-camvid", "espnet-cityscapes")


def evaluator_on(
    task: Task,
    pixels: Path,
    *,
    protocol: str = "held-out",
    split: Split | Literal["all"] | None = None,
    metrics: Iterable[str] | None = None,
    segmenter: str | None = None,
    weights: Mapping[str, Path] | None = None,
    **options: Any,
) -> Evaluator:
    """The evaluator of a task under a protocol; its images are read from the `pixels` cache, batch by batch.

    Args:
        split: another than the protocol's, which only held-out allows; "all" is every image of the folder.
        metrics: default: those of the protocol, else those that suit the data.
        segmenter: a name of SEGMENTERS or an ONNX file, for tasks with label maps.
        options: the others of `Evaluator`.

    Raises `SpecError` or `DataError` for a protocol or a segmenter that does not fit the task.
    """
    found = find_protocol(protocol)
    found.check(task.paired)
    if split and protocol != "held-out":
        raise SpecError(
            f"--split goes with the protocol held-out, and {protocol} has its own; leave one of them out"
        )
    chosen: tuple[Split, ...] | None = SPLITS if split == "all" else (split,) if split else None
    sources, targets = chosen or found.sources, chosen or found.targets
    weights = dict(weights or {})
    segmented = segmentation_on(task, sources, segmenter, weights) if segmenter else None
    examples = load_examples(task, sources, pixels, training=False)
    if found.reference == "targets" and not (task.paired and targets == sources):
        reals = load_examples(task, targets, pixels, training=False)
        options["targets"] = Stream(lambda: target_batches(reals, BATCH))
    return Evaluator(
        Stream(lambda: evaluation_batches(examples, BATCH)),
        metrics=metrics or found.metrics or None,
        segmentation=segmented,
        weights={name: file for name, file in weights.items() if name not in SEGMENTERS},
        protocol=protocol,
        **options,
    )


def segmentation_on(
    task: Task, splits: tuple[Split, ...], segmenter: str, weights: Mapping[str, Path]
) -> Segmentation:
    """A segmenter with the label maps of a task, at their full size."""
    if task.labels is None:
        raise DataError(f"a segmenter needs label maps, and {task.root} has none; leave --segmenter out")
    paths = {sample.name: sample.path for split in splits for sample in task.files(split).a}
    palette_file = read_layout(task.root).palette
    palette = read_palette(palette_file) if palette_file else None
    cityscapes = task.labels == CITYSCAPES

    def labels(name: str) -> np.ndarray:
        path = paths[name]
        return decode_map(read_bytes(path), path, palette)

    def trained(name: str) -> np.ndarray:
        return train_ids(labels(name)) if cityscapes else labels(name)

    if segmenter == "drn":
        return segmentation.cityscapes(trained, weights.get("drn"))
    if segmenter == "deeplab":
        return segmentation.coco_stuff(labels, weights.get("deeplab"))
    if segmenter == "espnet-camvid":
        return segmentation.espnet(labels, "camvid")
    if segmenter == "espnet-cityscapes":
        return segmentation.espnet(trained, "cityscapes")
    file = Path(segmenter)
    if file.suffix != ".onnx":
        raise unknown("segmenter", segmenter, SEGMENTERS)
    if not file.is_file():
        raise DataError(f"there is no file {file}; give a segmenter as ONNX, or one of {', '.join(SEGMENTERS)}")
    found = segmentation.onnx(labels, file, classes=None)
    few = found.segmenter.classes == len(segmentation.CITYSCAPES_CLASSES)
    return segmentation.onnx(trained, file) if cityscapes and few else found
