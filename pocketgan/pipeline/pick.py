"""The choice of one subnet among those that a search has scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pocketgan.elastic.budget import UNITS, Budget
from pocketgan.errors import BudgetError
from pocketgan.models import save_model
from pocketgan.networks import GeneratorSpec, Genome
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.settle import TOGETHER, Settled
from pocketgan.pipeline.settle import settled as settled_in
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.timing import Stopwatch
from pocketgan.pipeline.training import card_of
from pocketgan.search import Candidate, SearchResult
from pocketgan.units import Number, number_text, si


class Pick(Stage):
    """The best subnet of a search as a network of its own, its batch norm calibrated.

    Leaves: `model/`, and `latency.json` where the search obeys a latency model: then the best subnets are measured,
    and the best one that is within the bound is taken.
    Fields:
        budget: a smaller one than the search's; without it the search's own.
        front_latency: the measured front, where the budget bounds the latency and the search had no latency model:
            only its subnets may be chosen.
        margin: of the subnets whose score is behind the best by at most this share of it, the one with the most
            MACs is chosen: so small differences between subnets of a supernet are mostly noise, and what learns on
            by itself gains more where it is larger.
    """

    kind: Literal["pick"] = "pick"
    search: Search
    budget: Budget | None = None
    front_latency: FrontLatency | None = None
    margin: Annotated[float, Field(ge=0, lt=1, exclude_if=lambda margin: margin == 0)] = 0.0

    @model_validator(mode="after")
    def _measured(self) -> Pick:
        bounded = self.budget is not None and self.budget.latency_ms is not None and self.search.latency is None
        if bounded != (self.front_latency is not None):
            raise ValueError("a bound on the latency, and nothing else, needs a measured front")
        return self

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model", "latency.json") if self.latency_ms else ("model",)

    @property
    def latency_ms(self) -> float | None:
        """The bound on the latency that a measurement decides; None where there is none."""
        return (self.budget or self.search.budget).latency_ms if self.search.latency else None

    def spec(self, name: str = "model") -> GeneratorSpec:
        return self.search.widest(self.budget or self.search.budget)

    def inputs(self) -> Iterable[Stage]:
        own = (self.search, self.search.supernet, self.front_latency, self.search.latency)
        return [stage for stage in own if stage]

    def seconds(self, watch: Stopwatch) -> float:
        if self.latency_ms is None or self.search.latency is None:
            return super().seconds(watch)
        return self.search.latency.seconds_for(TOGETHER + 1, watch, fixed=False)

    def choose(self, result: SearchResult, latencies: Mapping[Genome, float] | None = None) -> Candidate:
        """The first choice within the bounds. `latencies`: in milliseconds, of those measured.

        Raises `BudgetError` where no candidate with a finite score is within them.
        """
        return self._ranked(result, latencies)[0]

    def _ranked(self, result: SearchResult, latencies: Mapping[Genome, float] | None = None) -> Sequence[Candidate]:
        """Those within the bounds, the first choice first."""
        within = tuple(self._within(result, latencies))
        return result.model_copy(update={"candidates": within}).ranked(self.margin)

    def _within(self, result: SearchResult, latencies: Mapping[Genome, float] | None = None) -> list[Candidate]:
        """Those within the bounds; within that on the latency, where latencies are given."""
        scored = [each for each in result.whole if math.isfinite(result.loss(each))]
        budget = self.budget or Budget()
        bounds: list[tuple[str, Number, Mapping[Genome, Number]]] = [
            (UNITS[name], bound, {each.genome: each.costs[name] for each in scored})
            for name, bound in budget.bounds.items()
        ]
        if budget.latency_ms is not None and latencies is not None:
            bounds.append(("ms", budget.latency_ms, latencies))
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
        return within

    def run(self, work: Workspace) -> None:
        result, measured = self.search.load(work.inputs(self.search)), self.front_latency
        if self.latency_ms is not None:
            settled = self._settled(result, self.latency_ms, work)
            (work.artifact / "latency.json").write_text(settled.model_dump_json(indent=1) + "\n")
            genome = settled.genome
        else:
            latencies = measured.load(work.inputs(measured)).latencies if measured else None
            genome = self.choose(result, latencies).genome
        network = self.search.subnet(genome, work)
        save_model(work.artifact / "model", network, card_of(self.search.supernet.task, self))

    def settled(self, artifact: Path) -> Settled:
        """What was measured to choose it, where the latency is bounded."""
        return Settled.model_validate_json((artifact / "latency.json").read_text())

    def _settled(self, result: SearchResult, bound: float, work: Workspace) -> Settled:
        stage = self.search.latency
        assert stage is not None, "there is a bound"
        known, state = stage.load(work.inputs(stage)), work.folder / "state"
        state.mkdir(exist_ok=True)
        best_first = self._ranked(result)

        def measure(genomes: Sequence[Genome]) -> list[float]:
            return [known.ms(each) for each in stage.timed(genomes, state, fixed=False)]

        predicted = self.search.milliseconds([each.genome for each in best_first], known.model)
        return settled_in(list(predicted), predicted, bound, measure)


def _figure(value: Number, unit: str) -> str:
    return f"{number_text(value)} ms" if unit == "ms" else f"{si(value)} {unit}"
