"""The choice of one subnet among those that a search has scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import model_validator

from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.errors import BudgetError
from pocketgan.models import save_model
from pocketgan.networks import GeneratorSpec, Genome
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.training import card_of
from pocketgan.search import Candidate, SearchResult
from pocketgan.units import Number, number_text, si


class Pick(Stage):
    """The best subnet of a search as a network of its own, its batch norm calibrated.

    Leaves: `model/`.
    Fields:
        budget: a smaller one than the search's; without it the search's own.
        front_latency: the measured front, where the budget bounds the latency: only its subnets may be chosen.
    """

    kind: Literal["pick"] = "pick"
    search: Search
    budget: Budget | None = None
    front_latency: FrontLatency | None = None

    @model_validator(mode="after")
    def _measured(self) -> Pick:
        bounded = self.budget is not None and self.budget.latency_ms is not None
        if bounded != (self.front_latency is not None):
            raise ValueError("a bound on the latency, and nothing else, needs a measured front")
        return self

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model",)

    def spec(self, name: str = "model") -> GeneratorSpec:
        return self.search.widest(self.budget or self.search.budget)

    def inputs(self) -> Iterable[Stage]:
        return (self.search, self.search.supernet, *((self.front_latency,) if self.front_latency else ()))

    def choose(self, result: SearchResult, latencies: dict[Genome, float] | None = None) -> Candidate:
        """The candidate with the best score within the bounds. `latencies`: in milliseconds, of those measured.

        Raises `BudgetError` where no candidate with a finite score is within them.
        """
        scored = [each for each in result.whole if math.isfinite(result.loss(each))]
        budget = self.budget or Budget()
        bounds: list[tuple[str, Number, Mapping[Genome, Number]]] = [
            (UNITS[name], bound, {each.genome: each.costs[name] for each in scored})
            for name, bound in budget.bounds.items()
        ]
        if budget.latency_ms is not None:
            bounds.append(("ms", budget.latency_ms, latencies or {}))
        for unit, bound, costs in bounds:
            least = min(costs, key=costs.__getitem__)
            if costs[least] > bound:
                raise BudgetError(
                    f"budget {_figure(bound, unit)} is below the smallest subnet that the search scored "
                    f"({_figure(costs[least], unit)}: {self.search.space.text(least)}); raise it"
                )
        within = [
            each for each in scored if all(costs.get(each.genome, math.inf) <= bound for _, bound, costs in bounds)
        ]
        if not within:
            words = " and ".join(_figure(bound, unit) for unit, bound, _ in bounds)
            raise BudgetError(f"no subnet that the search scored is within {words} at once; raise one of them")
        return result.model_copy(update={"candidates": tuple(within)}).best

    def run(self, work: Workspace) -> None:
        measured = self.front_latency
        latencies = measured.load(work.inputs(measured)).latencies if measured else None
        choice = self.choose(self.search.load(work.inputs(self.search)), latencies)
        network = self.search.subnet(choice.genome, work)
        save_model(work.artifact / "model", network, card_of(self.search.supernet.task, self))


def _figure(value: Number, unit: str) -> str:
    return f"{number_text(value)} ms" if unit == "ms" else f"{si(value)} {unit}"
