"""The search over a supernet's subnets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
from pydantic import PositiveInt, model_validator
from torch import Tensor

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.calibrate import calibrate, has_statistics
from pocketgan.elastic.cost import CostModel, cost
from pocketgan.elastic.latency import LatencyModel
from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.space import Choice, DepthChoice, EndsChoice, KernelChoice, SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.metrics import METRICS
from pocketgan.metrics.bootstrap import Contributions
from pocketgan.metrics.on_task import task_evaluator
from pocketgan.models import of_images
from pocketgan.networks import Generator, GeneratorSpec, Genome
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.latency_model import ModelLatency
from pocketgan.pipeline.manifest import content
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.supernets import load_supernet
from pocketgan.pipeline.timing import Stopwatch
from pocketgan.pipeline.training import calibration_images
from pocketgan.search import AnyStrategy, Nsga2, Place, Score, SearchResult, search
from pocketgan.search import work as help_with
from pocketgan.search.racing import Race, Racer

#: candidates that are scored before an accelerator is waited for
TOGETHER = 8
#: what a report calls the choices of a search
CHOICES = {Choice: "widths", DepthChoice: "depth", KernelChoice: "kernels", EndsChoice: "ends"}


class Search(Stage):
    """The best subnet within a budget, by its score on the selection split.

    Leaves: `result.json`.
    Fields:
        calibration: batch norm is calibrated anew for every candidate, on so many training images, the first ones.
        race: when candidates that fall behind are stopped; without it all see every image.
    """

    shared: ClassVar[bool] = True

    kind: Literal["search"] = "search"
    supernet: Distil | OnlineDistil | InPlaceTraining
    budget: Budget
    strategy: AnyStrategy
    metric: str = "fd_mobilenet_v2"
    calibration: PositiveInt = 64
    race: Race | None = None
    seed: int = 0

    @property
    def latency(self) -> ModelLatency | None:
        """The latency model that it obeys, where the budget bounds the latency."""
        if self.budget.runtime is None:
            return None
        return ModelLatency(space=self.space, size=self.supernet.task.size, runtime=self.budget.runtime)

    @model_validator(mode="after")
    def _searchable(self) -> Search:
        if self.supernet.space is None:
            raise ValueError("only a supernet can be searched: the distillation needs a space")
        if self.race and isinstance(self.strategy, Nsga2):
            raise ValueError("a race finds one best network, and nsga2 looks for a front; leave the race out")
        return self

    @property
    def space(self) -> SearchSpace:
        """Where the search looks."""
        space = self.supernet.space
        assert space is not None, "checked at construction"
        return space

    @property
    def _teacher(self) -> Stage | None:
        """The teacher, where the metric compares with its images."""
        return self.supernet.teacher if "teacher" in METRICS[self.metric].needs else None

    def inputs(self) -> Iterable[Stage]:
        return [stage for stage in (self.supernet, self._teacher, self.latency) if stage]

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("result.json",)

    def widest(self, budget: Budget) -> GeneratorSpec:
        """The widest subnet of about equal widths within a budget: what a choice may cost, before there is one."""
        space, size = self.space, self.supernet.task.size
        longest = max(len(choice.options) for choice in space.choices)
        for step in range(longest):
            genome = tuple(choice.options[min(step, len(choice.options) - 1)] for choice in space.choices)
            spec = cast(GeneratorSpec, space.subspec(genome))
            costs = cost(spec, *size)
            if all(costs[name] <= bound for name, bound in budget.bounds.items()):
                break
        return spec

    def seconds(self, watch: Stopwatch) -> float:
        task = self.supernet.task
        calibrated = self.calibration if has_statistics(skeleton(self.space.spec)) else 0
        candidates = min(self.strategy.most_after(-1), self.space.size)
        if self.race is None:  # a race is run by one process
            candidates = -(-candidates // watch.runtime.devices)
        one = watch.scoring(self.widest(self.budget), task.size)
        return candidates * one * (task.counts()["select"] + calibrated)

    def notes(self) -> tuple[str, ...]:
        kinds = [word for kind, word in CHOICES.items() if any(isinstance(c, kind) for c in self.space.choices)]
        return (f"Chosen on the selection split: {', '.join(kinds)}.",)

    def run(self, work: Workspace) -> None:
        score, racer = self._scorers(work)
        if not work.world.leads:
            return work.world.serve(score)
        (work.folder / "state").mkdir(exist_ok=True)
        asked = self._searched(work, racer or partial(work.world.ask, score))
        result = search(**asked, progress=work.progress)
        work.world.dismiss()
        (work.artifact / "result.json").write_text(result.model_dump_json(indent=1) + "\n")

    def help(self, work: Workspace) -> int:
        """Score candidates of this search, which a run leads in another process; returns how many, at its end."""
        score, racer = self._scorers(work)
        return help_with(**self._searched(work, racer or score), progress=lambda done: work.progress(done, 0))

    def _scorers(self, work: Workspace) -> tuple[Score, Racer | None]:
        """What scores candidates, and the same in a race where there is one."""
        task, space = self.supernet.task, self.space
        supernet = load_supernet(work.inputs(self.supernet) / "model", space.spec).to(work.runtime.place)
        teacher = of_images(work.network(self._teacher)) if self._teacher else None
        better, race = METRICS[self.metric].better, self.race
        evaluator = task_evaluator(
            task,
            "select",
            work.cache,
            device=work.runtime.place,
            metrics=(self.metric,),
            teacher=teacher,
            weights=work.runtime.weights,
            shuffle=race.seed if race else None,
            looks=race.looks if race else (),
        )
        images = calibration_images(self.supernet, self.calibration, work) if has_statistics(supernet) else []

        def score(genomes: Iterable[Genome]) -> list[dict[str, float]]:
            return evaluator.scores(self._candidate(supernet, tuple(genome), images) for genome in genomes)

        def growing(genome: Genome) -> Iterator[Contributions]:
            return evaluator.growing(self._candidate(supernet, genome, images), self.metric)

        if race is None:
            return score, None
        survivors = self.strategy.survivors
        return score, Racer(race, growing, objective=self.metric, better=better, survivors=survivors)

    def _searched(self, work: Workspace, score: Score | Racer) -> dict[str, Any]:
        """The arguments of `search`."""
        return dict(
            space=self.space,
            model=self._costs(self.latency.load(work.inputs(self.latency)).model if self.latency else None),
            budget=self.budget,
            strategy=self.strategy,
            score=score,
            objective=self.metric,
            better=METRICS[self.metric].better,
            seed=self.seed,
            storage=self._place(work),
            batch=work.world.size * (1 if work.runtime.place.type == "cpu" else TOGETHER),
        )

    def _costs(self, timing: LatencyModel | None) -> CostModel:
        return CostModel(self.space.spec, *self.supernet.task.size, timing=timing)

    def milliseconds(self, genomes: Sequence[Genome], timing: LatencyModel) -> dict[Genome, float]:
        """What a latency model says of subnets."""
        costs = self._costs(timing).of(self.space, np.array(genomes, dtype=np.int64))
        assert costs.latency_ms is not None, "there is a model"
        return dict(zip(genomes, costs.latency_ms.tolist(), strict=True))

    def _place(self, work: Workspace) -> Place:
        """Where its candidates are kept: by a name that no other search has, nor one of a supernet trained anew."""
        inputs = "".join(content(work.inputs(stage).parent) for stage in self.inputs())
        study = f"{self.address}-{hashlib.sha256(inputs.encode()).hexdigest()[:8]}"
        return Place(work.runtime.storage or work.folder / "state" / "journal.log", study)

    def _candidate(self, supernet: Supernet, genome: Genome, images: list[Tensor]) -> Callable[[Tensor], Tensor]:
        """A subnet as a function of images; a network of its own where it needs statistics of its own."""
        spec = self.space.subspec(genome)
        if has_statistics(supernet):
            return of_images(calibrate(supernet.extract(spec), images))
        return of_images(partial(supernet, at=spec), supernet.network.draw)

    def load(self, artifact: Path) -> SearchResult:
        return SearchResult.model_validate_json((artifact / "result.json").read_text())

    def subnet(self, genome: Genome, work: Workspace) -> Generator:
        """A subnet of the supernet as a network of its own, its batch norm calibrated as in the search."""
        supernet = load_supernet(work.inputs(self.supernet) / "model", self.space.spec).to(work.runtime.place)
        network = supernet.extract(self.space.subspec(genome))
        if has_statistics(network):
            calibrate(network, calibration_images(self.supernet, self.calibration, work))
        return network
