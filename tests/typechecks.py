"""Types are checked while tests run: what has shapes by jaxtyping, everything else by beartype alone.

A plugin of pytest, loaded before anything of the package is imported. jaxtyping's own option gives every function
to both, which took up to a quarter of a test's time: most have no arrays, and its part of a call is the long one.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import beartype

check_shapes = jaxtyping.jaxtyped


def check(thing: Any = None, *, typechecker: Any) -> Any:
    """In the place of `jaxtyping.jaxtyped`, as which the import hook decorates every function and class."""
    if thing is None:
        return partial(check, typechecker=typechecker)
    if not inspect.isfunction(thing):
        return check_shapes(thing, typechecker=typechecker)
    hints = {name: known(hint, thing.__globals__) for name, hint in thing.__annotations__.items()}
    if any(map(has_shape, hints.values())):
        return check_shapes(thing, typechecker=typechecker)
    return check_types(thing, hints)


def check_types(function: Callable[..., Any], hints: dict[str, Any]) -> Callable[..., Any]:
    written, function.__annotations__ = function.__annotations__, hints
    try:
        return beartype(function)
    finally:
        function.__annotations__ = written


def known(hint: Any, names: dict[str, Any]) -> Any:
    """A hint that may be a string as a type; anything where its names are not known yet, as with jaxtyping."""

    def of(value: hint) -> None: ...

    try:
        return get_type_hints(of, names, include_extras=True)["value"]
    except Exception:
        return Any


def has_shape(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(has_shape, hint if isinstance(hint, list) else get_args(hint)))


jaxtyping.jaxtyped = check
jaxtyping.install_import_hook("pocketgan", "beartype.beartype")
