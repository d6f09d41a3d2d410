"""The stages: train a teacher, distil, search, extract, evaluate, export.

Pre-distillation, supernet training and fine-tuning are all `Distil`, with different arguments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import nn

from pocketgan.data.batches import Batch, evaluation_batches, steps_per_epoch, training_batches
from pocketgan.data.cache import PairSet, load_pairs
from pocketgan.data.images import save_image, to_uint8
from pocketgan.data.layouts import Split
from pocketgan.data.task import Task
from pocketgan.deploy.onnx import export_verified
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.order import keep_important
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.losses.distillation import Adaptors
from pocketgan.metrics.evaluate import METRICS, Evaluator
from pocketgan.models import device_of, load_generator, load_model, save_model
from pocketgan.networks import Generator, GeneratorSpec, Genome, NetworkSpec, PatchSpec, init_normal
from pocketgan.objectives.base import Objective
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.search import AnyStrategy, SearchResult, search
from pocketgan.seeds import derive_seed
from pocketgan.training.fit import Precision, fit
from pocketgan.training.schedule import Schedule

SHEETS = 8  # sample sheets drawn over one training
SHEET_IMAGES = 6


class Training(Stage):
    """What `Train` and `Distil` share: data, length, randomness, and pictures on the way."""

    task: Task
    schedule: Schedule
    seed: int = 0
    precision: Precision = "32-true"

    def _random(self, what: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, what))

    def _fit(self, work: Workspace, objective: Objective, network: nn.Module) -> None:
        pairs = load_pairs(self.task, "train", work.cache, training=True)
        shown = load_pairs(self.task, "select", work.cache, training=False)
        epochs = self.schedule.epochs
        drawn = {round(epochs * part / SHEETS) for part in range(1, SHEETS + 1)}

        def batches(epoch: int, first: int) -> Iterable[Batch]:
            return training_batches(
                pairs,
                batch_size=self.schedule.batch_size,
                size=self.task.size,
                flip=self.task.flip,
                seed=self.seed,
                epoch=epoch,
                start_step=first,
            )

        (work.folder / "samples").mkdir(exist_ok=True)

        def sample(epoch: int) -> None:
            if epoch in drawn:
                save_image(sample_sheet(network, shown), work.folder / "samples" / f"epoch-{epoch:04d}.png")

        fit(
            objective,
            batches,
            steps_per_epoch(len(pairs), self.schedule.batch_size),
            self.schedule,
            seed=self.seed,
            precision=self.precision,
            runtime=work.runtime,
            folder=work.folder,
            sample=sample,
            progress=work.progress,
        )

    def _card(self) -> dict[str, Any]:
        return {"size": self.task.size, "direction": self.task.direction, "made_by": self.address}


class Train(Training):
    """A teacher: pix2pix. Leaves `model/` and `discriminator/`."""

    kind: Literal["train"] = "train"
    generator: GeneratorSpec
    discriminator: PatchSpec = PatchSpec()
    objective: Pix2PixSettings = Pix2PixSettings()

    def build(self) -> Pix2Pix:
        """The game before its first step."""
        return Pix2Pix(
            self.objective,
            init_normal(self.generator.build(), self._random("generator")),
            init_normal(self.discriminator.build(), self._random("discriminator")),
        )

    def run(self, work: Workspace) -> None:
        game = self.build()
        generator, discriminator = game.generator, game.networks["discriminator"]
        self._fit(work, game, generator)
        save_model(work.artifact / "model", generator, self._card())
        save_model(work.artifact / "discriminator", discriminator, self._card())


class Given(Stage):
    """A finished teacher, brought along as a model folder. Leaves a copy as `model/`."""

    kind: Literal["given"] = "given"
    # only the copying needs it: a recipe that is read back from its run folder does without
    folder: Path = Field(default=Path(), exclude=True)
    content: str

    @classmethod
    def of(cls, folder: Path) -> Given:
        """Its identity is the content of its files, not their place. Raises `DataError` when it is no generator."""
        load_generator(folder)
        content = [(folder / name).read_bytes() for name in ("model.json", "weights.safetensors")]
        return cls(folder=folder, content=hashlib.sha256(b"".join(content)).hexdigest())

    def run(self, work: Workspace) -> None:
        network, _, card = load_model(self.folder)
        save_model(work.artifact / "model", network, {**card, "made_by": self.address})


class Distil(Training):
    """A student, taught by a finished teacher. Leaves `model/`, `discriminator/` and `adaptors.safetensors`.

    What is taught follows from the arguments: a `space` makes it a supernet, `student` a plain network, neither
    continues with the network of `init`. A student narrower than `init` starts from its most important channels;
    without `init` it starts from scratch. The discriminator is that of `judge`, or a fresh `discriminator`.
    """

    kind: Literal["distil"] = "distil"
    teacher: AnyStage
    student: GeneratorSpec | None = None
    space: SearchSpace | None = None
    init: AnyStage | None = None
    judge: AnyStage | None = None
    discriminator: PatchSpec = PatchSpec()
    objective: DistilSettings = DistilSettings()

    def build(self, teacher: Generator, init: Generator | None, judge: nn.Module | None) -> Distiller:
        """The game before its first step."""
        spec = self._spec(init)
        student: Supernet | Generator = Supernet(spec) if self.space else spec.build()
        network = student.network if isinstance(student, Supernet) else student
        if init is None:
            init_normal(network, self._random("generator"))
        elif init.spec.widths == spec.widths:
            network.load_state_dict(init.state_dict())
        else:
            network.load_state_dict(keep_important(init, init.spec, spec.widths))
        adaptors = Adaptors({t: (spec.tap_channels(t), teacher.spec.tap_channels(t)) for t in spec.taps})
        return Distiller(
            self.objective,
            teacher,
            student,
            init_normal(adaptors, self._random("adaptors")),
            judge or init_normal(self.discriminator.build(), self._random("discriminator")),
            self.space,
        )

    def _spec(self, init: Generator | None) -> NetworkSpec:
        """What the student is at its widest."""
        if self.space:
            return self.space.spec
        if self.student:
            return self.student
        if init is None:
            raise SpecError("a distillation needs a student, a space or an init; give one of them")
        return init.spec

    def run(self, work: Workspace) -> None:
        game = self.build(
            load_model(work.inputs(self.teacher) / "model").network,
            load_model(work.inputs(self.init) / "model").network if self.init else None,
            load_model(work.inputs(self.judge) / "discriminator").network if self.judge else None,
        )
        student, judge = game.generator, game.networks["discriminator"]
        network = student.network if isinstance(student, Supernet) else student
        self._fit(work, game, network)
        save_model(work.artifact / "model", network, self._card())
        save_model(work.artifact / "discriminator", judge, self._card())


class Search(Stage):
    """The best subnet within a budget, judged on the selection split. Leaves `result.json`."""

    kind: Literal["search"] = "search"
    supernet: Distil
    budget: Budget
    strategy: AnyStrategy
    metric: str = "fd_mobilenet_v2"
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

    def run(self, work: Workspace) -> None:
        task, space = self.supernet.task, self.space
        model = CostModel(space.spec, task.size)
        self.budget.check(space, model)
        supernet = Supernet(space.spec)
        supernet.network = load_model(work.inputs(self.supernet) / "model").network
        supernet.eval()
        pairs = load_pairs(task, "select", work.cache, training=False)
        evaluator = Evaluator(list(evaluation_batches(pairs, 16)), metrics=(self.metric,))

        def score(genomes: Iterable[Genome]) -> list[dict[str, float]]:
            return [evaluator(partial(supernet, at=space.widths(genome))).scores for genome in genomes]

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
            progress=work.progress,
        )
        (work.artifact / "result.json").write_text(result.model_dump_json(indent=1) + "\n")

    def load(self, artifact: Path) -> SearchResult:
        return SearchResult.model_validate_json((artifact / "result.json").read_text())


class Extract(Stage):
    """The chosen subnet as a network of its own. Leaves `model/`."""

    kind: Literal["extract"] = "extract"
    search: Search

    def run(self, work: Workspace) -> None:
        trained, space = self.search.supernet, self.search.space
        choice = self.search.load(work.inputs(self.search)).best
        supernet = Supernet(space.spec)
        supernet.network = load_model(work.inputs(trained) / "model").network
        network = supernet.extract(space.widths(choice.genome))
        card = {"size": trained.task.size, "direction": trained.task.direction, "made_by": self.address}
        save_model(work.artifact / "model", network, card)

    def inputs(self) -> Iterable[Stage]:
        return (self.search, self.search.supernet)


class Evaluate(Stage):
    """Every metric of a network on one split. Leaves `scores.json` and what it made (`images.npy`, uint8)."""

    kind: Literal["evaluate"] = "evaluate"
    network: AnyStage
    task: Task
    split: Split = "test"

    def run(self, work: Workspace) -> None:
        network = load_model(work.inputs(self.network) / "model").network
        pairs = load_pairs(self.task, self.split, work.cache, training=False)
        made: list[np.ndarray] = []

        def generate(x: torch.Tensor) -> torch.Tensor:
            y = network(x)
            made.append(to_uint8(y))
            work.progress(sum(map(len, made)), len(pairs))
            return y

        result = Evaluator(list(evaluation_batches(pairs, 16)))(generate, intervals=True)
        (work.artifact / "scores.json").write_text(
            json.dumps(
                {
                    "split": self.split,
                    "scores": result.scores,
                    "intervals": result.intervals,
                    "names": pairs.names,
                    "per_image": result.per_image,
                },
                indent=1,
            )
            + "\n"
        )
        np.save(work.artifact / "images.npy", np.concatenate(made))


class Export(Stage):
    """A network for ONNX runtimes, verified on real images. Leaves `model.onnx` and `verified.json`."""

    kind: Literal["export"] = "export"
    network: AnyStage
    task: Task

    def run(self, work: Workspace) -> None:
        network = load_model(work.inputs(self.network) / "model").network
        pairs = load_pairs(self.task, "select", work.cache, training=False)
        inputs = next(evaluation_batches(pairs, 64)).x
        # instance norm blows rounding up where an image is flat: there runtimes may differ, and rightly so
        images = inputs[inputs.flatten(1).std(1).argsort(descending=True)[:4]]
        difference = export_verified(network, self.task.size, work.artifact / "model.onnx", images)
        text = json.dumps({"images": len(images), "largest_difference": difference}, indent=1)
        (work.artifact / "verified.json").write_text(text + "\n")


AnyStage = Annotated[Train | Given | Distil | Search | Extract | Evaluate | Export, Field(discriminator="kind")]
for _stage in (Train, Given, Distil, Search, Extract, Evaluate, Export):
    _stage.model_rebuild()


@torch.no_grad()
def sample_sheet(network: nn.Module, pairs: PairSet) -> np.ndarray:
    """Source, result and truth of a few pairs below each other: uint8 (3 sizes, n sizes, 3)."""
    batch = next(evaluation_batches(pairs, SHEET_IMAGES))
    network.eval()
    made = network(batch.x.to(device_of(network))).cpu()
    network.train()
    rows = [np.concatenate(list(to_uint8(images)), axis=1) for images in (batch.x, made, batch.y)]
    return np.concatenate(rows, axis=0)
