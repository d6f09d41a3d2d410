"""The catalog: recipes by name, each with what it reproduces and what to expect.

An entry's settings are the published ones; `--set` changes single numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pocketgan.data.task import Direction, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import DataError, SpecError, unknown
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.recipes.effort import best_precision
from pocketgan.recipes.fast import FastSettings, fast_gan_compression
from pocketgan.recipes.recipe import Recipe
from pocketgan.search import Evolution
from pocketgan.training.schedule import Schedule

#: what `compress --method` knows
METHODS = {"fast-gan-compression": fast_gan_compression}

NUCLEI = Path(__file__).resolve().parents[2] / "examples" / "nuclei" / "stained"


@dataclass(frozen=True)
class Entry:
    """One recipe of the catalog. `published`: params, macs and metric of the paper's result, where there is one."""

    name: str
    task: str
    about: str
    settings: Callable[[], FastSettings]
    budget: str
    size: int = 256
    direction: Direction = "AtoB"
    data: Path | None = None
    published: dict[str, int | float] | None = None

    @property
    def method(self) -> str:
        return "fast-gan-compression"


def demo() -> FastSettings:
    """Small enough for minutes on two cores."""
    return FastSettings(
        teacher=ResnetSpec.uniform(32),
        discriminator=PatchSpec(width=64),
        teaching=Schedule(constant=30, decay=30, batch_size=4),
        space="24_16_12_8",
        supernet=Schedule(constant=20, decay=20, batch_size=4),
        tuning=Schedule(constant=5, decay=15, batch_size=4),
        search=Evolution(population=20, generations=3),
        precision=best_precision(),
    )


def fast_edges2shoes() -> FastSettings:
    return FastSettings(
        teaching=Schedule(constant=5, decay=15, batch_size=4),
        supernet=Schedule(constant=10, decay=30, batch_size=4),
        tuning=Schedule(constant=5, decay=15, batch_size=4),
    )


def fast_cityscapes() -> FastSettings:
    """The authors advise against fine-tuning here: no gain."""
    return FastSettings(
        teaching=Schedule(constant=100, decay=150, batch_size=1),
        supernet=Schedule(constant=200, decay=300, batch_size=1),
    )


def fast_map2sat() -> FastSettings:
    return FastSettings(
        objective=Pix2PixSettings(recon=10),
        distillation=DistilSettings(recon=10, distil=0.01),
        teaching=Schedule(constant=100, decay=200, batch_size=1),
        supernet=Schedule(constant=200, decay=400, batch_size=1),
        tuning=Schedule(constant=100, decay=200, batch_size=1),
    )


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "demo",
            "nuclei maps to stained micrographs",
            "the bundled data, small and quick: about ten minutes on two cores",
            demo,
            "250M",
            size=96,
            data=NUCLEI,
        ),
        Entry(
            "fast-edges2shoes-r",
            "edges to shoes",
            "Fast GAN Compression, edges2shoes-r: FID 25.76 at 4.83 G MACs; days on one GPU",
            fast_edges2shoes,
            "4.9G",
            published={"params": 702_835, "macs": 4.83e9, "fid": 25.76},
        ),
        Entry(
            "fast-cityscapes",
            "street labels to photos",
            "Fast GAN Compression, Cityscapes: mIoU 41.71 at 5.61 G MACs; days on one GPU",
            fast_cityscapes,
            "5.7G",
            direction="BtoA",
            published={"params": 867_000, "macs": 5.61e9, "miou": 41.71},
        ),
        Entry(
            "fast-map2sat",
            "maps to aerial photos",
            "Fast GAN Compression, maps: FID 48.67 at 4.53 G MACs; days on one GPU",
            fast_map2sat,
            "4.6G",
            direction="BtoA",
            published={"params": 708_000, "macs": 4.53e9, "fid": 48.67},
        ),
    )
}


def entry_named(name: str) -> Entry:
    if name not in ENTRIES:
        raise unknown("recipe", name, ENTRIES)
    return ENTRIES[name]


def recipe_of(entry: Entry, data: Path | None, budget: str | None, changes: list[str]) -> Recipe:
    """The recipe of an entry on a data folder, with `path=value` changes to its settings."""
    folder = data or entry.data
    if folder is None:
        raise DataError(f"recipe {entry.name} needs its images; name their folder with --data")
    settings = changed(entry.settings(), changes)
    task = open_task(folder, direction=entry.direction, size=entry.size)
    return fast_gan_compression(entry.name, task, Budget.parse(budget or entry.budget), settings)


def changed(settings: FastSettings, changes: list[str]) -> FastSettings:
    """Settings with single values replaced: 'supernet.constant=40', 'seed=1', 'search.population=50'."""
    tree = settings.model_dump()
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals:
            raise SpecError(f"--set {change} has no '='; write e.g. --set supernet.constant=40")
        *parents, last = path.split(".")
        node: Any = tree
        for name in parents:
            if name not in node or not isinstance(node[name], dict):
                raise unknown("setting", path, _paths(tree))
            node = node[name]
        if last not in node:
            raise unknown("setting", path, _paths(tree))
        node[last] = _value(value)
    try:
        return FastSettings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        words = " ".join(f"--set {change}" for change in _guilty(changes, tree, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise SpecError(f"{words}: {reason[0].lower()}{reason[1:]}; choose another value") from None


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


def _paths(tree: dict[str, Any], above: str = "") -> list[str]:
    """The dotted names of all settings."""
    paths = []
    for name, value in tree.items():
        paths += _paths(value, f"{above}{name}.") if isinstance(value, dict) else [f"{above}{name}"]
    return paths
