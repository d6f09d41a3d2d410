"""The layouts of the official checkpoints, one module a family."""

from __future__ import annotations

from typing import Any

from pocketgan.interop.layouts import munit, omgd, patch, pixel, resnet, spade, unet
from pocketgan.interop.layouts.base import Recognised

__all__ = ["LAYOUTS", "TITLES", "Recognised", "layout_of"]

#: by the `kind` of our spec; tried in this order on a file of unknown kind
LAYOUTS: dict[str, Any] = {
    "resnet": resnet,
    "deep_resnet": omgd,
    "unet": unet,
    "spade": spade,
    "munit": munit,
    "patch": patch,
    "pixel": pixel,
    "shared_patch": omgd,
    "multiscale": spade,
    "ms_image": munit,
}

#: what a user reads
TITLES = {
    "resnet": "ResNet",
    "deep_resnet": "deep mobile ResNet",
    "unet": "U-Net",
    "spade": "SPADE",
    "munit": "MUNIT",
    "patch": "PatchGAN",
    "pixel": "PixelGAN",
    "shared_patch": "shared PatchGAN",
    "multiscale": "multi-scale PatchGAN",
    "ms_image": "MUNIT",
}


def layout_of(spec: Any) -> Any:
    """The layout in which the official code keeps such a network."""
    return LAYOUTS[spec.kind]
