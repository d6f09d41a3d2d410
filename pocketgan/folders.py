"""Packages whose modules are the values of one kind: a file in the folder is one of them, by the file's name.

So adding a method or a runtime is adding a file. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from pocketgan.errors import unknown

_ROOT = Path(__file__).parent


def names_in(package: str) -> list[str]:
    """The names of the values in a package, such as `methods`, sorted: its files, with dashes."""
    folder = _ROOT / package.replace(".", "/")
    return sorted(path.stem.replace("_", "-") for path in folder.glob("[a-z]*.py"))


def value_in(package: str, name: str, what: str) -> Any:
    """The value of a name: what the module has as `METHOD`, `RUNTIME`, ... (`what` in capitals).

    Raises `SpecError` where there is none of that name.
    """
    if name not in names_in(package):
        raise unknown(what, name, names_in(package))
    module = import_module(f"pocketgan.{package}.{name.replace('-', '_')}")
    return getattr(module, what.upper())
