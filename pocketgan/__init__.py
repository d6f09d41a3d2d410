"""PocketGAN compresses conditional image-to-image GANs to a budget that you name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketgan.tracing.elastic import Elastic as Elastic
    from pocketgan.tracing.elastic import elastic as elastic

__version__ = "0.1.0"

#: the public names, and the modules that they are in: these are imported when a name is first used
_PUBLIC = {"elastic": "tracing.elastic", "Elastic": "tracing.elastic"}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pocketgan' has no attribute '{name}'")
    return getattr(import_module(f"pocketgan.{_PUBLIC[name]}"), name)
