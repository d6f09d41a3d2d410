"""The catalog: recipes by name, each with what it reproduces and what to expect.

An entry's settings are the published ones; `--set` changes single numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketgan.data.task import Direction, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import DataError, unknown
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.recipes import published, published_omgd
from pocketgan.recipes.compression import Settings
from pocketgan.recipes.effort import best_precision
from pocketgan.recipes.families import parts
from pocketgan.recipes.methods import AnySettings
from pocketgan.recipes.recipe import Recipe
from pocketgan.search import Evolution
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
    settings: Callable[[], AnySettings]
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


def demo() -> Settings:
    """Small enough for minutes on two cores."""
    return Settings(
        **{**parts("pix2pix", 32, 64), "teacher": ResnetSpec.uniform(32), "discriminator": PatchSpec(width=64)},
        teaching=Schedule(constant=30, decay=30, batch_size=4),
        space="24_16_12_8",
        supernet=Schedule(constant=20, decay=20, batch_size=4),
        tuning=Schedule(constant=5, decay=15, batch_size=4),
        search=Evolution(population=20, generations=3),
        precision=best_precision(),
    )


def _row(
    name: str,
    task: str,
    settings: Callable[[], Settings],
    budget: str,
    figures: tuple[str, float],
    params: int,
    macs: float,
    data: str,
    **fields: Any,
) -> Entry:
    """A published row: its figures, and days of one GPU to carry it out."""
    metric, value = figures
    method = "Fast GAN Compression" if name.startswith("fast") else "GAN Compression"
    shown = {"fid": f"FID {value:g}", "miou": f"mIoU {value:g}"}[metric]
    return Entry(
        name=name,
        task=task,
        about=f"{method}, {data}: {shown} at {macs / 1e9:.4g} G MACs; days on a GPU",
        settings=settings,
        budget=budget,
        prepare=data,
        published={"params": params, "macs": macs, metric: value},
        **fields,
    )


def _omgd(row: published_omgd.Row) -> Entry:
    """A published row of OMGD; some have no figure."""
    task = row.task
    score: dict[str, float] = {} if row.score is None else {task.metric: row.score}
    return Entry(
        name=row.name,
        task=task.about,
        about=row.about,
        settings=row.settings,
        budget=row.budget,
        direction=task.direction,
        unpaired=None if task.paired else True,
        prepare=task.prepare,
        published={"params": row.params, "macs": row.macs, **score},
    )


_STREETS = dict(size=(256, 512), load_size=(256, 512))

ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            name="demo",
            task="nuclei maps to stained micrographs",
            about="the bundled data, small and quick: about ten minutes on two cores",
            settings=demo,
            budget="250M",
            size=96,
            data=NUCLEI,
        ),
        _row(
            "edges2shoes-r",
            "edges to shoes",
            published.edges2shoes,
            "5.2G",
            ("fid", 26.70),
            822_051,
            4.99e9,
            "edges2shoes-r",
        ),
        _row(
            "fast-edges2shoes-r",
            "edges to shoes",
            published.fast_edges2shoes,
            "4.9G",
            ("fid", 25.76),
            702_835,
            4.83e9,
            "edges2shoes-r",
        ),
        _row(
            "cityscapes",
            "street labels to photos",
            published.cityscapes,
            "5.68G",
            ("miou", 38.63),
            780_819,
            5.59e9,
            "cityscapes",
            direction="BtoA",
        ),
        _row(
            "fast-cityscapes",
            "street labels to photos",
            published.fast_cityscapes,
            "5.7G",
            ("miou", 41.71),
            867_000,
            5.61e9,
            "cityscapes",
            direction="BtoA",
        ),
        _row(
            "map2sat",
            "maps to aerial photos",
            published.map2sat,
            "4.7G",
            ("fid", 48.02),
            746_211,
            4.68e9,
            "maps",
            direction="BtoA",
        ),
        _row(
            "fast-map2sat",
            "maps to aerial photos",
            published.fast_map2sat,
            "4.6G",
            ("fid", 48.67),
            708_000,
            4.53e9,
            "maps",
            direction="BtoA",
        ),
        _row(
            "horse2zebra",
            "horses to zebras, without pairs",
            published.horse2zebra,
            "2.6G",
            ("fid", 65.12),
            356_867,
            2.55e9,
            "horse2zebra",
            unpaired=True,
        ),
        _row(
            "fast-horse2zebra",
            "horses to zebras, without pairs",
            published.fast_horse2zebra,
            "3G",
            ("fid", 65.19),
            355_235,
            2.64e9,
            "horse2zebra",
            unpaired=True,
        ),
        _row(
            "gaugan-cityscapes",
            "street label maps to photos",
            published.gaugan_cityscapes,
            "35G",
            ("miou", 60.29),
            21_002_811,
            31.2e9,
            "cityscapes-originals",
            **_STREETS,
        ),
        _row(
            "fast-gaugan-cityscapes",
            "street label maps to photos",
            published.fast_gaugan_cityscapes,
            "32G",
            ("miou", 61.17),
            20_174_275,
            31.3e9,
            "cityscapes-originals",
            **_STREETS,
        ),
        _row(
            "fast-gaugan-coco",
            "label maps to photos",
            published.fast_gaugan_coco,
            "36G",
            ("fid", 25.06),
            25_985_755,
            35.5e9,
            "coco-stuff",
        ),
        _row(
            "fast-munit-edges2shoes-r",
            "edges to shoes in any style, without pairs",
            published.fast_munit,
            "2.7G",
            ("fid", 30.53),
            1_100_347,
            2.63e9,
            "edges2shoes-r-unaligned",
            unpaired=True,
        ),
        *map(_omgd, published_omgd.ROWS),
    )
}


def entry_named(name: str) -> Entry:
    if name not in ENTRIES:
        raise unknown("recipe", name, ENTRIES)
    return ENTRIES[name]


def recipe_of(
    entry: Entry, settings: AnySettings, data: Path | None, budget: str | None, size: Size | None
) -> Recipe:
    """The recipe of an entry with these settings, on a data folder; None keeps what the entry has."""
    folder = data or entry.data
    if folder is None:
        raise DataError(
            f"recipe {entry.name} needs its images; name their folder with --data (`pocketgan prepare "
            f"{entry.prepare}` makes it)"
        )
    task = open_task(
        folder,
        direction=entry.direction,
        size=size or entry.size,
        load_size=None if size else entry.load_size,
        unpaired=entry.unpaired,
    )
    return settings.recipe(entry.name, task, Budget.parse(budget or entry.budget))
