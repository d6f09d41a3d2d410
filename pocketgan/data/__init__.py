"""Images, in pairs or not, and label maps: the task, its decoded pixels, and the batches that are read."""

from typing import TYPE_CHECKING, Any

from pocketgan.data.cache import Examples, Images, load_examples
from pocketgan.data.images import list_images, read_rgb, resize, save_image, to_tensor, to_uint8
from pocketgan.data.inputs import Inputs, load_inputs, open_inputs
from pocketgan.data.labels import LabelMaps
from pocketgan.data.samples import Sample, Split
from pocketgan.data.task import Task, open_task

if TYPE_CHECKING:
    from pocketgan.data.batches import (
        Batch,
        Targets,
        evaluation_batches,
        prefetch,
        steps_per_epoch,
        student_batches,
        target_batches,
        training_batches,
    )

__all__ = [
    "Batch",
    "Examples",
    "Images",
    "Inputs",
    "LabelMaps",
    "Sample",
    "Split",
    "Targets",
    "Task",
    "evaluation_batches",
    "list_images",
    "load_examples",
    "load_inputs",
    "open_inputs",
    "open_task",
    "prefetch",
    "read_rgb",
    "resize",
    "save_image",
    "steps_per_epoch",
    "student_batches",
    "target_batches",
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
