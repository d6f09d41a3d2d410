"""The layouts of the official checkpoints, one module a family or two, found by looking into this folder."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from pocketgan.errors import SpecError
from pocketgan.interop.layouts.base import Recognised

__all__ = ["Recognised", "layout_of", "layouts"]


@cache
def layouts() -> dict[str, Any]:
    """The layout modules by the `kind` of the networks that they are of."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return {kind: module for module in modules for kind in getattr(module, "KINDS", ())}


def layout_of(spec: Any) -> Any:
    """The layout in which the official code keeps such a network. Raises `SpecError` where there is none."""
    if spec.kind not in layouts():
        raise SpecError(f"no official code has a {spec.kind}; export it in another format")
    return layouts()[spec.kind]
