"""An evaluator of a task's images, as a protocol wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

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
from pocketgan.metrics.resident import sources_on, targets_on
from pocketgan.metrics.segmentation import Segmentation, train_ids
from pocketgan.seeds import derive_seed

Splits = Split | tuple[Split, ...]

#: segmenters by name; any other comes as an ONNX file
SEGMENTERS = ("drn", "deeplab", "espnet-camvid", "espnet-cityscapes")


def task_evaluator(
    task: Task,
    split: Splits,
    pixels: Path,
    *,
    device: torch.device | str,
    targets: Splits | None = None,
    most: int | None = None,
    shuffle: int | None = None,
    looks: Sequence[float] = (),
    **options: Any,
) -> Evaluator:
    """The evaluator of the images of a task, on a device. It reads them batch by batch from the `pixels` cache.

    On an accelerator 8-bit pixels stay on it where they fit (`resident.KEPT` bytes).

    Args:
        split: one or several; the inputs.
        targets: the splits of the real images, where they are not the partners of the inputs. Default: `split`.
        most: take only so many of the inputs, the first ones.
        shuffle: take the inputs in an order drawn from this seed. looks: shares of them after which a batch ends.
        options: the others of `Evaluator`: metrics, teacher, weights, segmentation, statistics, protocol.
    """
    device = torch.device(device)
    examples = load_examples(task, split, pixels, training=False)
    if not task.paired or (targets or split) != split:
        options["targets"] = targets_on(device, load_examples(task, targets or split, pixels, training=False))
    count = min(most or len(examples.sources), len(examples.sources))
    order = np.arange(count)
    if shuffle is not None:
        order = np.random.default_rng(derive_seed(shuffle, "order of images")).permutation(order)
    ends = [max(2, round(share * count)) for share in looks]
    return Evaluator(sources_on(device, examples, order, ends), device=device, **options)


def evaluator_on(
    task: Task,
    pixels: Path,
    *,
    protocol: str = "held-out",
    split: Split | Literal["all"] | None = None,
    metrics: Iterable[str] | None = None,
    segmenter: str | None = None,
    weights: Mapping[str, Path] | None = None,
    device: torch.device | str = "cpu",
    **options: Any,
) -> Evaluator:
    """The evaluator of a task under a protocol: see `task_evaluator`.

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
    segmented = segmentation_on(task, sources, segmenter, weights, device) if segmenter else None
    return task_evaluator(
        task,
        sources,
        pixels,
        device=device,
        targets=targets if found.reference == "targets" else None,
        metrics=metrics or found.metrics or None,
        segmentation=segmented,
        weights={name: file for name, file in weights.items() if name not in SEGMENTERS},
        protocol=protocol,
        **options,
    )


def segmentation_on(
    task: Task,
    splits: tuple[Split, ...],
    segmenter: str,
    weights: Mapping[str, Path],
    device: torch.device | str = "cpu",
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
        return segmentation.cityscapes(trained, weights.get("drn"), device)
    if segmenter == "deeplab":
        return segmentation.coco_stuff(labels, weights.get("deeplab"), device)
    if segmenter == "espnet-camvid":
        return segmentation.espnet(labels, "camvid", device=device)
    if segmenter == "espnet-cityscapes":
        return segmentation.espnet(trained, "cityscapes", device=device)
    file = Path(segmenter)
    if file.suffix != ".onnx":
        raise unknown("segmenter", segmenter, SEGMENTERS)
    if not file.is_file():
        raise DataError(f"there is no file {file}; give a segmenter as ONNX, or one of {', '.join(SEGMENTERS)}")
    found = segmentation.onnx(labels, file, classes=None)
    few = found.segmenter.classes == len(segmentation.CITYSCAPES_CLASSES)
    return segmentation.onnx(trained, file) if cityscapes and few else found
