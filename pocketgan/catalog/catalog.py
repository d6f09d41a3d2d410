"""The catalog: recipes by name, each with what it reproduces and what to expect.

An entry's settings are the published ones; `--set` changes single numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pocketgan.catalog import gan_compression, omgd
from pocketgan.data.task import Direction, Task, open_task
from pocketgan.errors import DataError, unknown
from pocketgan.methods.in_place import InPlaceMethod
from pocketgan.networks import PatchSpec
from pocketgan.pipeline.recipe import Recipe
from pocketgan.recipes.channels import with_channels
from pocketgan.recipes.latency import budget_of
from pocketgan.recipes.settings import RecipeSettings
from pocketgan.search import Nsga2
from pocketgan.training.schedule import Schedule
from pocketgan.units import Size

NUCLEI = Path(__file__).resolve().parents[2] / "examples" / "nuclei" / "stained"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One recipe of the catalog.

    Attributes:
        task: what becomes what.
        about: what it reproduces, and what it costs to carry out.
        prepare: the data set's name for `pocketgan prepare`, where it is a published one.
        data: the folder of the images, where they come with PocketGAN.
        published: params, macs and metric of the paper's result, where there is one.
    """

    name: str
    task: str
    about: str
    settings: Callable[[], RecipeSettings]
    budget: str
    size: int | Size = 256
    load_size: int | Size | None = None
    direction: Direction = "AtoB"
    unpaired: bool | None = None
    prepare: str | None = None
    data: Path | None = None
    published: dict[str, int | float] | None = None

    @property
    def method(self) -> str:
        return self.settings().method

    @property
    def command(self) -> str:
        """How to carry it out."""
        return f"pocketgan run {self.name}" + ("" if self.data else f" --data {self.prepare}")


def demo() -> InPlaceMethod:
    """Small enough for minutes on two cores."""
    return InPlaceMethod(
        discriminator=PatchSpec(width=32),
        schedule=Schedule(constant=30, decay=15, batch_size=4),
        space="16_12_8",
        search=Nsga2(population=20, generations=2),
        tuning=Schedule(constant=15, decay=30, batch_size=4),
        timed=8,
    )


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            name="demo",
            task="nuclei maps to stained micrographs",
            about="the bundled data, small and quick: about six minutes on two cores",
            settings=demo,
            budget="166M",
            size=96,
            data=NUCLEI,
        ),
        *(Entry(**row.entry()) for row in (*gan_compression.ROWS, *omgd.ROWS)),
    )
}


def entry_named(name: str) -> Entry:
    if name not in ENTRIES:
        raise unknown("recipe", name, ENTRIES)
    return ENTRIES[name]


def recipe_of(
    entry: Entry,
    settings: RecipeSettings,
    data: Path | None,
    budget: str | None,
    size: Size | None,
    unpaired: bool | None = None,
) -> Recipe:
    """The recipe of an entry with these settings, on a data folder; None keeps what the entry has."""
    return recipe_on(entry, settings, task_of(entry, data, size, unpaired), budget)


def recipe_on(
    entry: Entry, settings: RecipeSettings, task: Task, budget: str | None, runtime: str | None = None
) -> Recipe:
    """The same, on a task that is open. `runtime`: where the budget bounds the latency."""
    bound = budget_of(budget or entry.budget, runtime)
    return with_channels(settings, task).recipe(entry.name, task, bound)


def task_of(entry: Entry, data: Path | None, size: Size | None, unpaired: bool | None) -> Task:
    """The task of an entry; None keeps what the entry has."""
    folder = data or entry.data
    if folder is None:
        raise DataError(
            f"recipe {entry.name} needs its images; name their folder with --data (`pocketgan prepare "
            f"{entry.prepare}` makes it)"
        )
    return open_task(
        folder,
        direction=entry.direction,
        size=size or entry.size,
        load_size=None if size else entry.load_size,
        unpaired=entry.unpaired if unpaired is None else unpaired,
    )
