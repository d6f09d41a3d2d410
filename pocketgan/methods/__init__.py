"""The methods of compression: each file in this folder is one, and holds it as `METHOD`.

A method's name is that of its file, with dashes. What several methods share is in `pocketgan.recipes`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pocketgan.errors import unknown

if TYPE_CHECKING:
    from pocketgan.recipes.method import Method

#: where nothing else is asked for
DEFAULT = "fast-gan-compression"


def method_names() -> list[str]:
    """The names of all methods; the default one comes first."""
    names = {path.stem.replace("_", "-") for path in Path(__file__).parent.glob("[a-z]*.py")}
    return [DEFAULT, *sorted(names - {DEFAULT})]


def method_named(name: str) -> Method:
    """The method of a name. Raises `SpecError` where there is none."""
    if name not in method_names():
        raise unknown("method", name, method_names())
    return import_module(f"{__name__}.{name.replace('-', '_')}").METHOD
