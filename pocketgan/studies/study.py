"""A study: several recipes side by side, over several seeds, that give one table and one plot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pocketgan.errors import DataError
from pocketgan.metrics.catalog import FRECHET
from pocketgan.pipeline.games import check_sides
from pocketgan.recipes.games import LABELS, PAIRS, UNPAIRED, data_of
from pocketgan.studies.setting import Setting


class Point(NamedTuple):
    """One contestant: the series it belongs to, its place on it, and the stage that leaves its network.

    Where `network` is a `Search`, it is the search that competes: the best score so far against evaluations.
    """

    series: str
    place: str
    network: Any


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a paper says: one series is better than another. `places`: where; none stands for all."""

    better: str
    worse: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Study:
    """Several recipes side by side.

    Attributes:
        about: the question, and what the contestants have in common.
        source: the paper's plot or table of it.
        points: every contestant of one seed.
        claims: the paper's ordering.
        axis: what the plot has on its axis: MACs, or the places side by side.
        data: which data the question is about; none stands for images with or without pairs.
        metric: what the plot shows; every other metric that suits the data stands in the table.
    """

    name: str
    about: str
    source: str
    points: Callable[[Setting], list[Point]]
    claims: tuple[Claim, ...]
    axis: Literal["macs", "place"] = "macs"
    data: str | None = None
    metric: str = FRECHET

    def check(self, setting: Setting) -> None:
        """Raise `DataError` or `SpecError` unless the study can be made of these data at this size."""
        found = data_of(setting.task)
        if found == LABELS or self.data not in (None, found):
            wanted = self.data or f"{PAIRS} or {UNPAIRED}"
            ignore = ", or add --unpaired to ignore the pairs" if (wanted, found) == (UNPAIRED, PAIRS) else ""
            raise DataError(
                f"study {self.name} needs {wanted}, and {setting.task.root} holds {found}; "
                f"choose another folder{ignore}"
            )
        check_sides(setting.task.size, setting.dense, setting.discriminator)
