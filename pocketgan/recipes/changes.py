"""Changing single settings by `path=value` texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pocketgan.errors import PocketGANError, SpecError, unknown
from pocketgan.recipes.settings import RecipeSettings

Settings = TypeVar("Settings", bound=RecipeSettings)


def changed(settings: Settings, changes: list[str]) -> Settings:
    """Settings with single values replaced: 'supernet.constant=40', 'seed=1', 'search.population=50'."""
    tree = _tree(settings)
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals:
            raise SpecError(f"--set {change} has no '='; write e.g. --set seed=1")
        *parents, last = path.split(".")
        node: Any = tree
        for name in parents:
            if name in node and node[name] is None:
                whole = path[: path.index(name) + len(name)]
                raise SpecError(f"--set {change}: {_off(settings, whole)}")
            if name not in node or not isinstance(node[name], dict):
                raise unknown("setting", path, _paths(tree))
            node = node[name]
        if last not in node:
            raise unknown("setting", path, _paths(tree))
        node[last] = _value(value)
    try:
        return type(settings).model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        guilty = _guilty(changes, tree, first["loc"]) or changes
        words = " ".join(f"--set {change}" for change in guilty)
        reason = first["msg"].removeprefix("Value error, ")
        raise SpecError(f"{words}: {reason[0].lower()}{reason[1:]}; choose another value") from None


def check_used(settings: Settings, changes: list[str], recipe_of: Callable[[Settings], Any]) -> None:
    """Raise `SpecError` for a change without which the recipe would be the same.

    Changes that later ones replace, and those to what a setting is anyway, are let pass.
    """
    whole = changed(settings, changes)
    digest = recipe_of(whole).digest
    for place, change in enumerate(changes):
        path = change.partition("=")[0]
        if any(f"{path}.".startswith(f"{later.partition('=')[0]}.") for later in changes[place + 1 :]):
            continue
        try:
            without = changed(settings, changes[:place] + changes[place + 1 :])
            idle = without != whole and recipe_of(without).digest == digest
        except PocketGANError:
            continue  # it was needed
        if idle:
            raise SpecError(f"--set {change} has no use here: the recipe is the same without it; leave it out")


def _off(settings: RecipeSettings, name: str) -> str:
    """Why there is nothing below a setting."""
    why = settings.why_off.get(name, "there is nothing of that kind here")
    return f"{name} is off, since {why}; leave it out, or give {name} as a whole, as {name}={{...}}"


def _guilty(changes: list[str], tree: dict[str, Any], place: tuple[int | str, ...]) -> list[str]:
    """The changes at, above or below the place of an error, without those that a later one replaced."""
    where, node = "", tree
    for part in place:
        # a place also holds what is no setting: the kind of a strategy, the number of an item
        if isinstance(node, dict) and part in node:
            where, node = f"{where}{part}.", node[part]
    found: dict[str, str] = {}
    for change in changes:
        path = change.partition("=")[0] + "."
        if path.startswith(where) or where.startswith(path):
            found = {other: made for other, made in found.items() if not other.startswith(path)} | {path: change}
    return list(found.values())


def _value(text: str) -> Any:
    """JSON where it reads as such (numbers, lists, null, true), else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _tree(value: Any) -> Any:
    """Settings as plain data, those that JSON leaves out while they have their default among them."""
    if isinstance(value, BaseModel):
        return {name: _tree(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple | list):
        return [_tree(each) for each in value]
    return value


def _paths(tree: dict[str, Any], above: str = "") -> list[str]:
    """The dotted names of all settings."""
    paths = []
    for name, value in tree.items():
        paths += _paths(value, f"{above}{name}.") if isinstance(value, dict) else [f"{above}{name}"]
    return paths
