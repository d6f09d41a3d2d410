"""Paired images: the task, its decoded pixels, and the batches that training and evaluation read."""

from typing import TYPE_CHECKING, Any

from pocketgan.data.cache import PairSet, load_pairs
from pocketgan.data.images import list_images, read_rgb, resize, save_image, to_tensor, to_uint8
from pocketgan.data.layouts import Pair, Split
from pocketgan.data.task import Task, open_task

if TYPE_CHECKING:
    from pocketgan.data.batches import Batch, evaluation_batches, prefetch, steps_per_epoch, training_batches

__all__ = [
    "Batch",
    "Pair",
    "PairSet",
    "Split",
    "Task",
    "evaluation_batches",
    "list_images",
    "load_pairs",
    "open_task",
    "prefetch",
    "read_rgb",
    "resize",
    "save_image",
    "steps_per_epoch",
    "to_tensor",
    "to_uint8",
    "training_batches",
]


def __getattr__(name: str) -> Any:
    """The names of `batches` come on demand: it needs torch, which checking a data folder does not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pocketgan.data import batches

    return getattr(batches, name)
