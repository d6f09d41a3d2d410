"""Stages that choose: the search over a supernet's subnets, and the chosen one as a network of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from pocketgan.data.batches import evaluation_batches
from pocketgan.data.cache import load_examples
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.calibrate import calibrate, has_statistics
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.metrics import METRICS
from pocketgan.metrics.on_task import task_evaluator
from pocketgan.models import load_model, of_images, save_model
from pocketgan.networks import Generator, Genome
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.supernets import load_supernet
from pocketgan.pipeline.training import Distil, Training, card_of
from pocketgan.search import AnyStrategy, SearchResult, search

BATCH = 16

#: candidates that are scored before an accelerator is waited for
TOGETHER = 8


class Search(Stage):
    """The best subnet within a budget, judged on the selection split. Leaves `result.json`.

    Batch norm is calibrated anew for every candidate, on the first `calibration` training images.
    """

    kind: Literal["search"] = "search"
    supernet: Annotated[Distil | OnlineDistil, Field(discriminator="kind")]
    budget: Budget
    strategy: AnyStrategy
    metric: str = "fd_mobilenet_v2"
    calibration: PositiveInt = 64
    seed: int = 0

    @model_validator(mode="after")
    def _searchable(self) -> Search:
        if self.supernet.space is None:
            raise ValueError("only a supernet can be searched: the distillation needs a space")
        return self

    @property
    def space(self) -> SearchSpace:
        """Where the search looks."""
        space = self.supernet.space
        assert space is not None, "checked at construction"
        return space

    @property
    def _teacher(self) -> Stage | None:
        """The teacher, where the metric holds against its images."""
        return self.supernet.teacher if "teacher" in METRICS[self.metric].needs else None

    def inputs(self) -> Iterable[Stage]:
        return (self.supernet, self._teacher) if self._teacher else (self.supernet,)

    def run(self, work: Workspace) -> None:
        task, space = self.supernet.task, self.space
        model = CostModel(space.spec, *task.size)
        self.budget.check(space, model)
        device = work.runtime.place
        supernet = load_supernet(work.inputs(self.supernet) / "model", space.spec).to(device)
        teacher = None
        if self._teacher:
            teacher = of_images(load_model(work.inputs(self._teacher) / "model").network.to(device))
        evaluator = task_evaluator(
            task,
            "select",
            work.cache,
            device=device,
            metrics=(self.metric,),
            teacher=teacher,
            weights=work.runtime.weights,
        )
        calibrating = has_statistics(supernet)
        images = calibration_images(self.supernet, self.calibration, work) if calibrating else []
        images = [batch.to(device) for batch in images]

        def score(genomes: Iterable[Genome]) -> list[dict[str, float]]:
            return evaluator.scores(self._candidate(supernet, genome, images) for genome in genomes)

        (work.folder / "state").mkdir(exist_ok=True)
        result = search(
            space,
            model,
            self.budget,
            self.strategy,
            score,
            objective=self.metric,
            better=METRICS[self.metric].better,
            seed=self.seed,
            storage=work.folder / "state" / "journal.log",
            batch=1 if device.type == "cpu" else TOGETHER,
            progress=work.progress,
        )
        (work.artifact / "result.json").write_text(result.model_dump_json(indent=1) + "\n")

    def _candidate(self, supernet: Supernet, genome: Genome, images: list[Tensor]) -> Callable[[Tensor], Tensor]:
        """A subnet as a function of images; a network of its own where it needs statistics of its own."""
        spec = self.space.subspec(genome)
        if has_statistics(supernet):
            return of_images(calibrate(supernet.extract(spec), images))
        return of_images(partial(supernet, at=spec), supernet.network.draw)

    def load(self, artifact: Path) -> SearchResult:
        return SearchResult.model_validate_json((artifact / "result.json").read_text())


class Extract(Stage):
    """The chosen subnet as a network of its own, its batch norm calibrated. Leaves `model/`."""

    kind: Literal["extract"] = "extract"
    search: Search

    def run(self, work: Workspace) -> None:
        choice = self.search.load(work.inputs(self.search)).best
        network = subnet(self.search, choice.genome, work)
        save_model(work.artifact / "model", network, card_of(self.search.supernet.task, self))

    def inputs(self) -> Iterable[Stage]:
        return (self.search, self.search.supernet)


def subnet(search: Search, genome: Genome, work: Workspace) -> Generator:
    """A subnet of the search's supernet as a network of its own, its batch norm calibrated as in the search."""
    trained, space = search.supernet, search.space
    supernet = load_supernet(work.inputs(trained) / "model", space.spec)
    network = supernet.extract(space.subspec(genome))
    if has_statistics(network):
        calibrate(network, calibration_images(trained, search.calibration, work))
    return network


def calibration_images(trained: Training, count: int, work: Workspace) -> list[Tensor]:
    """The first `count` training images, in batches."""
    examples = load_examples(trained.task, trained.splits, work.cache, training=False)
    batches = islice(evaluation_batches(examples, BATCH), -(-count // BATCH))
    return [batch.x for batch in batches]
