"""What all stages that train have in common, and the training of a teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from pocketgan.data.batches import PackedBatch, evaluation_batches, steps_per_epoch, training_batches
from pocketgan.data.cache import Examples, load_examples
from pocketgan.data.images import save_image, shown, to_uint8
from pocketgan.data.samples import Split
from pocketgan.data.task import Task
from pocketgan.data.values import Values
from pocketgan.distributed import World
from pocketgan.metrics.resident import BATCH
from pocketgan.models import device_of, of_images, save_model
from pocketgan.networks import DiscriminatorSpec, GeneratorSpec, PatchSpec, SharedPatchSpec
from pocketgan.objectives.base import Objective
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.objectives.precision import Precision
from pocketgan.pipeline.games import FeatureNetwork, Teaching, needs_features, teaching_game
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.supernets import save_kernels
from pocketgan.pipeline.timing import Stopwatch
from pocketgan.seeds import derive_seed
from pocketgan.training.fit import fit
from pocketgan.training.schedule import Rates, Schedule

SHEETS = 8  # sample sheets drawn over one training
SHEET_IMAGES = 6


class Training(Stage):
    """Base of the stages that train.

    Fields:
        splits: whose images are learnt from.
        feature_network: what a perceptual term looks through, where the game has one.
    """

    shared: ClassVar[bool] = True

    task: Task
    splits: tuple[Split, ...] = ("train",)
    schedule: Schedule
    feature_network: FeatureNetwork | None = None
    seed: int = 0
    precision: Precision = "fp32"
    discriminator: DiscriminatorSpec | SharedPatchSpec = PatchSpec()

    if TYPE_CHECKING:
        objective: Any  # the settings of the game that it plays: a field of every subclass

    @model_validator(mode="after")
    def _with_features(self) -> Training:
        if needs_features(self.objective) != (self.feature_network is not None):
            raise ValueError("a game with a perceptual term, and no other, has a feature_network")
        return self

    def untrained(self) -> Objective:
        """The game with fresh networks in the places of those that earlier stages will leave; its steps are of the
        kinds of `shares`, in turns."""
        raise NotImplementedError

    @property
    def largest(self) -> GeneratorSpec:
        """The costliest generator that plays."""
        raise NotImplementedError

    @property
    def shares(self) -> tuple[float, ...]:
        """For each kind of step, its share of all steps."""
        return (1.0,)

    @property
    def epochs(self) -> int:
        """The epochs of all players together, where they have their own."""
        return self.schedule.epochs

    @property
    def steps(self) -> int:
        return self.epochs * steps_per_epoch(self.task.epoch(self.splits), self.schedule.batch_size)

    @property
    def images(self) -> int:
        """How many images it learns from in all, each time counted."""
        return self.steps * self.schedule.batch_size

    def seconds(self, watch: Stopwatch) -> float:
        return self.steps * watch.step(self)

    def notes(self) -> tuple[str, ...]:
        if self.feature_network is None:
            return ()
        whose = "weights that were given" if self.feature_network.content else "its published weights"
        return (f"The perceptual terms look through {self.feature_network.name} with {whose}.",)

    def _random(self, what: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, what))

    def _epoch(self, world: World, examples: Examples, epoch: int, first: int) -> Iterable[PackedBatch]:
        """The batches of an epoch from that step on, or the share of this process."""
        return training_batches(
            examples,
            batch_size=self.schedule.batch_size,
            size=self.task.size,
            flip=self.task.flip,
            rotate=self.task.rotate,
            seed=self.seed,
            epoch=epoch,
            start_step=first,
            world=world,
        )

    def _fit(
        self,
        work: Workspace,
        objective: Objective,
        epoch: Callable[[World, Examples, int, int], Iterable[PackedBatch]] | None = None,
        schedule: Rates | None = None,
    ) -> None:
        """Play the game to its end and save what it leaves; by another schedule or with other batches if given."""
        examples = load_examples(self.task, self.splits, work.cache, training=True)
        selected = load_examples(self.task, "select", work.cache, training=False)
        schedule = schedule or self.schedule
        drawn = {round(schedule.epochs * part / SHEETS) for part in range(1, SHEETS + 1)}
        products = objective.products

        if work.world.leads:
            (work.folder / "samples").mkdir(exist_ok=True)
            for torn in (work.folder / "samples").glob(".*"):
                torn.unlink()  # a picture in whose writing an earlier session was killed

        def sample(epoch: int) -> None:
            if epoch in drawn:
                sheet = sample_sheet(products["model"], selected)
                save_image(sheet, work.folder / "samples" / f"epoch-{epoch:04d}.png")

        fit(
            objective,
            partial(epoch or self._epoch, work.world, examples),
            steps_per_epoch(len(examples), schedule.batch_size),
            schedule,
            seed=self.seed,
            precision=self.precision,
            runtime=work.runtime,
            folder=work.folder,
            sample=sample,
            progress=work.progress,
        )
        if not work.world.leads:
            return
        self._finish(products["model"], work)
        for name, network in products.items():
            save_model(work.artifact / name, network, card_of(self.task, self))
        save_kernels(work.artifact / "model", objective.generator)

    def _finish(self, network: nn.Module, work: Workspace) -> None:
        """What is done to the network that is left, before it is saved."""


class Train(Training):
    """A teacher learns from images.

    Leaves: `model/` and `discriminator/`; a game of two directions also `backward/` and `backward_discriminator/`.
    """

    kind: Literal["train"] = "train"
    generator: GeneratorSpec
    discriminator: DiscriminatorSpec = PatchSpec()
    objective: Teaching = Pix2PixSettings()

    @property
    def leaves(self) -> tuple[str, ...]:
        both_ways = ("backward", "backward_discriminator") if self.objective.kind in ("cyclegan", "munit") else ()
        return ("model", "discriminator", *both_ways)

    def spec(self, name: str = "model") -> GeneratorSpec:
        return self.generator.folded

    @property
    def largest(self) -> GeneratorSpec:
        return self.generator.folded

    def untrained(self) -> Objective:
        # the bundled feature network stands in for one that may have to be downloaded first
        return self.model_copy(update={"feature_network": bundled(self.feature_network)}).build()

    def notes(self) -> tuple[str, ...]:
        whole = ("The teacher learnt from the selection split too, as in the papers.",)
        return (*super().notes(), *(whole if "select" in self.splits else ()))

    def build(self) -> Objective:
        """The game before its first step."""
        features = self.feature_network.open() if self.feature_network else None
        return teaching_game(self.objective, self.generator, self.discriminator, self._random, features)

    def run(self, work: Workspace) -> None:
        self._fit(work, self.build())


def calibration_images(stage: Training, images: int, work: Workspace) -> list[Tensor]:
    """The first so many images that a training learns from, in batches, on the runtime's device."""
    examples = load_examples(stage.task, stage.splits, work.cache, training=False)
    batches = islice(evaluation_batches(examples, BATCH), -(-images // BATCH))
    return [batch.x.to(work.runtime.place) for batch in batches]


def bundled(network: FeatureNetwork | None) -> FeatureNetwork | None:
    """The bundled feature network where there is to be one."""
    return network and FeatureNetwork()


def card_of(task: Task, made_by: Stage) -> dict[str, Any]:
    """What a model folder says of its network beside its spec."""
    labels = {"labels": task.labels.model_dump(mode="json")} if task.labels else {}
    sight: dict[str, Any] = {"load_size": task.load_size and list(task.load_size)} if task.centre else {}
    sight |= {"input": task.source.model_dump()} if task.source != Values() else {}
    sight |= {"output": task.target.model_dump()} if task.target != Values() else {}
    return {"size": list(task.size), "direction": task.direction, **labels, **sight, "made_by": made_by.address}


@torch.no_grad()
def sample_sheet(network: nn.Module, examples: Examples) -> np.ndarray:
    """Source, result and, of pairs, truth of a few samples below each other: uint8 (rows * H, n * W, 3)."""
    batch = next(evaluation_batches(examples, SHEET_IMAGES))
    network.eval()
    images = of_images(network)(batch.x.to(device_of(network))).cpu()
    network.train()
    chosen = slice(len(batch.names))
    rows = [examples.sources.pictures(chosen), shown(to_uint8(images))]
    if examples.paired:
        rows.append(examples.targets.pictures(chosen))
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
