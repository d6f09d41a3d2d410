"""The methods of compression: each file in this folder is one, and holds it as `METHOD`.

A method's name is that of its file, with dashes. What several methods share is in `pocketgan.recipes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketgan.folders import names_in, value_in

if TYPE_CHECKING:
    from pocketgan.recipes.method import Method

#: where nothing else is asked for: of pairs that nothing else is given with, and of everything else
OF_PAIRS, DEFAULT = "in-place", "fast-gan-compression"


def method_names() -> list[str]:
    """The names of all methods."""
    return names_in("methods")


def method_named(name: str) -> Method:
    """The method of a name. Raises `SpecError` where there is none."""
    return value_in("methods", name, "method")
