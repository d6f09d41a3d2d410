"""Settings of networks for images of other channels than red, green and blue."""

from __future__ import annotations

from typing import Any, TypeVar

from pocketgan.data.task import Task
from pocketgan.networks import NetworkSpec
from pocketgan.recipes.settings import RecipeSettings

Settings = TypeVar("Settings", bound=RecipeSettings)


def with_channels(settings: Settings, task: Task) -> Settings:
    """The settings with every generator and discriminator at the channels of the task's images.

    Networks whose channels are others than those of colour images stay as they are.
    """
    into, out = task.in_channels, task.out_channels
    before = into if task.labels else 3
    if (into, out) == (before, 3):
        return settings
    changes: dict[str, Any] = {}
    for name in type(settings).model_fields:
        spec = getattr(settings, name)
        if isinstance(spec, NetworkSpec) and (spec.in_channels, spec.out_channels) == (before, 3):
            changes[name] = spec.model_copy(update={"in_channels": into, "out_channels": out})
        elif name == "discriminator" and spec.in_channels == (before + 3 if task.paired else 3):
            changes[name] = spec.model_copy(update={"in_channels": into + out if task.paired else out})
    return settings.model_copy(update=changes)
