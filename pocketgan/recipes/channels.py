"""Networks for images of other channels than red, green and blue."""

from __future__ import annotations

from typing import Any, TypeVar

from pocketgan.data.task import Task
from pocketgan.networks import NetworkSpec
from pocketgan.networks.spec import ScoreSpec
from pocketgan.recipes.settings import RecipeSettings

Settings = TypeVar("Settings", bound=RecipeSettings)
Spec = TypeVar("Spec", bound=NetworkSpec | ScoreSpec)


def spec_with_channels(spec: Spec, task: Task) -> Spec:
    """A generator or discriminator at the channels of the task's images.

    One whose channels are others than those of colour images stays as it is.
    """
    into, out = task.in_channels, task.out_channels
    before = into if task.labels else 3
    if isinstance(spec, ScoreSpec):
        if spec.in_channels != (before + 3 if task.paired else 3):
            return spec
        return spec.model_copy(update={"in_channels": into + out if task.paired else out})
    if (spec.in_channels, spec.out_channels) != (before, 3):
        return spec
    return spec.model_copy(update={"in_channels": into, "out_channels": out})


def with_channels(settings: Settings, task: Task) -> Settings:
    """The settings with every generator and discriminator at the channels of the task's images."""
    changes: dict[str, Any] = {}
    for name in type(settings).model_fields:
        spec = getattr(settings, name)
        if isinstance(spec, NetworkSpec | ScoreSpec):
            changes[name] = spec_with_channels(spec, task)
    return settings.model_copy(update=changes)
