"""Stages that train: a teacher, or a student that a teacher instructs; and the teacher that a user brings along.

Pre-distillation, supernet training and fine-tuning are all `Distil`, with different arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import nn

from pocketgan.data.batches import PackedBatch, evaluation_batches, steps_per_epoch, training_batches
from pocketgan.data.cache import Examples, load_examples
from pocketgan.data.images import save_image, to_uint8
from pocketgan.data.samples import Split
from pocketgan.data.task import Direction, Task
from pocketgan.elastic.order import keep_important
from pocketgan.elastic.sampling import ResolutionSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import DataError, SpecError
from pocketgan.interop.importing import import_checkpoint
from pocketgan.models import device_of, is_model, load_model, of_images, save_model
from pocketgan.networks import (
    DiscriminatorSpec,
    Generator,
    GeneratorSpec,
    NetworkSpec,
    PatchSpec,
    SharedPatchSpec,
    initialise,
)
from pocketgan.objectives.base import Objective
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.objectives.precision import Precision
from pocketgan.pipeline.games import Distilling, Sight, Teaching, distilling_game, needs_sight, teaching_game
from pocketgan.pipeline.stage import Stage, Workspace
from pocketgan.pipeline.supernets import load_kernels, save_kernels
from pocketgan.seeds import derive_seed
from pocketgan.training.fit import fit
from pocketgan.training.schedule import Rates, Schedule

if TYPE_CHECKING:
    from pocketgan.pipeline.stages import AnyStage

SHEETS = 8  # sample sheets drawn over one training
SHEET_IMAGES = 6


class Training(Stage):
    """What `Train` and `Distil` share: data, length, randomness, and pictures on the way.

    `splits`: whose images are learnt from. `sight`: what a perceptual term looks through, where there is one.
    """

    task: Task
    splits: tuple[Split, ...] = ("train",)
    schedule: Schedule
    sight: Sight | None = None
    seed: int = 0
    precision: Precision = "fp32"

    def _random(self, what: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, what))

    def _epoch(self, examples: Examples, epoch: int, first: int) -> Iterable[PackedBatch]:
        """The batches of an epoch from that step on."""
        return training_batches(
            examples,
            batch_size=self.schedule.batch_size,
            size=self.task.size,
            flip=self.task.flip,
            seed=self.seed,
            epoch=epoch,
            start_step=first,
        )

    def _fit(
        self,
        work: Workspace,
        objective: Objective,
        epoch: Callable[[Examples, int, int], Iterable[PackedBatch]] | None = None,
        schedule: Rates | None = None,
    ) -> None:
        """Play the game to its end and save what it leaves; by another schedule or with other batches if given."""
        examples = load_examples(self.task, self.splits, work.cache, training=True)
        shown = load_examples(self.task, "select", work.cache, training=False)
        schedule = schedule or self.schedule
        drawn = {round(schedule.epochs * part / SHEETS) for part in range(1, SHEETS + 1)}
        products = objective.products

        (work.folder / "samples").mkdir(exist_ok=True)
        for torn in (work.folder / "samples").glob(".*"):
            torn.unlink()  # a picture in whose writing an earlier session was killed

        def sample(epoch: int) -> None:
            if epoch in drawn:
                sheet = sample_sheet(products["model"], shown)
                save_image(sheet, work.folder / "samples" / f"epoch-{epoch:04d}.png")

        fit(
            objective,
            partial(epoch or self._epoch, examples),
            steps_per_epoch(len(examples), schedule.batch_size),
            schedule,
            seed=self.seed,
            precision=self.precision,
            runtime=work.runtime,
            folder=work.folder,
            sample=sample,
            progress=work.progress,
        )
        for name, network in products.items():
            save_model(work.artifact / name, network, card_of(self.task, self))
        save_kernels(work.artifact / "model", objective.generator)


class Train(Training):
    """A teacher. Leaves `model/` and `discriminator/`; a game of two directions also `backward/` and its judge."""

    kind: Literal["train"] = "train"
    generator: GeneratorSpec
    discriminator: DiscriminatorSpec = PatchSpec()
    objective: Teaching = Pix2PixSettings()

    @model_validator(mode="after")
    def _can_see(self) -> Train:
        return check_sight(self)

    def build(self) -> Objective:
        """The game before its first step."""
        sight = self.sight.open() if self.sight else None
        return teaching_game(self.objective, self.generator, self.discriminator, self._random, sight)

    def run(self, work: Workspace) -> None:
        self._fit(work, self.build())


class Given(Stage):
    """A finished teacher, brought along: a model folder, an artifact with `model/` in it, or a checkpoint that
    `import` knows. Leaves a copy as `model/`, and as `discriminator/` where one came with it.

    `direction`: what it was trained for, where its card says so.
    """

    kind: Literal["given"] = "given"
    generator: GeneratorSpec
    discriminator: DiscriminatorSpec | None = None
    direction: Direction | None = None
    content: str
    # only the copying needs them: a recipe that is read back from its run folder does without
    file: Path = Field(default=Path(), exclude=True)
    judge_file: Path | None = Field(default=None, exclude=True)

    @classmethod
    def of(cls, file: Path, judge_file: Path | None = None) -> Given:
        """Its identity is the content of its files, not their place. A discriminator that lies beside `model/`
        comes along. Raises `DataError` where one is no generator, or the other no discriminator of one."""
        if file.is_dir() and not is_model(file) and (file / "model").is_dir():
            if judge_file is None and is_model(file / "discriminator"):
                judge_file = file / "discriminator"
            file = file / "model"
        spec = _brought(file).spec
        if not isinstance(spec, NetworkSpec):
            raise DataError(f"{file} holds a discriminator; give a generator")
        judge = _brought(judge_file).spec if judge_file else None
        if isinstance(judge, (NetworkSpec, SharedPatchSpec)):
            what = "generator" if isinstance(judge, NetworkSpec) else "discriminator of several generators"
            raise DataError(f"{judge_file} holds a {what}; give the teacher's discriminator")
        content = hashlib.sha256(b"".join(_bytes(path) for path in (file, judge_file) if path)).hexdigest()
        return cls(
            generator=cast(GeneratorSpec, spec),
            discriminator=judge,
            direction=load_model(file).card.get("direction") if file.is_dir() else None,
            content=content,
            file=file,
            judge_file=judge_file,
        )

    def run(self, work: Workspace) -> None:
        for name, file in (("model", self.file), ("discriminator", self.judge_file)):
            if file:
                save_model(work.artifact / name, _brought(file), {"made_by": self.address})


class Taught(Training):
    """What `Distil` and `OnlineDistil` share: who is taught.

    A `space` makes it a supernet, `student` a plain network, neither continues with the network of `init`. A
    student narrower than `init` starts from its most important channels; without `init` it starts from scratch.
    """

    student: GeneratorSpec | None = None
    space: SearchSpace | None = None
    init: AnyStage | None = None

    def _student(self, init: Generator | None) -> Supernet | Generator:
        """The student before its first step; `init`: the network of the stage of that name."""
        spec, sampling = self._spec(init), self.objective.sampling  # type: ignore[attr-defined]
        if isinstance(sampling, ResolutionSampling):
            sampling.check(spec, self.task.size)
        student: Supernet | Generator = Supernet(spec) if self.space else spec.build()
        network = student.network if isinstance(student, Supernet) else student
        if init is None:
            initialise(network, self._random("generator"))
        elif init.spec.widths == spec.widths:
            network.load_state_dict(init.state_dict())
        else:
            network.load_state_dict(keep_important(init, init.spec, spec.widths))
        return student

    def _spec(self, init: Generator | None) -> NetworkSpec:
        """What the student is at its widest."""
        if self.space:
            return self.space.spec
        if self.student:
            return self.student
        if init is None:
            raise SpecError("a distillation needs a student, a space or an init; give one of them")
        return init.spec

    def _initial(self, work: Workspace) -> Generator | None:
        """The network of `init`."""
        return load_model(work.inputs(self.init) / "model").network if self.init else None

    def _fit(self, work: Workspace, objective: Objective, *changed: Any) -> None:
        """Begin with the kernel matrices of `init` too, where it is a supernet that has some."""
        if self.init:
            load_kernels(work.inputs(self.init) / "model", objective.generator)
        super()._fit(work, objective, *changed)


class Distil(Taught):
    """A student, taught by a finished teacher. Leaves `model/` and `discriminator/`.

    The discriminator is that of `judge`, or a fresh `discriminator`.
    """

    kind: Literal["distil"] = "distil"
    teacher: AnyStage
    judge: AnyStage | None = None
    discriminator: DiscriminatorSpec = PatchSpec()
    objective: Distilling = DistilSettings()

    @model_validator(mode="after")
    def _can_see(self) -> Distil:
        return check_sight(self)

    def build(self, teacher: Generator, init: Generator | None, judge: nn.Module | None) -> Objective:
        """The game before its first step."""
        return distilling_game(
            self.objective,
            teacher,
            self._student(init),
            judge or initialise(self.discriminator.build(), self._random("discriminator")),
            self.space,
            self._random,
            self.sight.open() if self.sight else None,
        )

    def run(self, work: Workspace) -> None:
        game = self.build(
            load_model(work.inputs(self.teacher) / "model").network,
            self._initial(work),
            load_model(work.inputs(self.judge) / "discriminator").network if self.judge else None,
        )
        self._fit(work, game)


def card_of(task: Task, made_by: Stage) -> dict[str, Any]:
    """What a model folder says of its network beside its spec."""
    labels = {"labels": task.labels.model_dump(mode="json")} if task.labels else {}
    return {"size": list(task.size), "direction": task.direction, **labels, "made_by": made_by.address}


@torch.no_grad()
def sample_sheet(network: nn.Module, examples: Examples) -> np.ndarray:
    """Source, result and, of pairs, truth of a few samples below each other: uint8 (rows * H, n * W, 3)."""
    batch = next(evaluation_batches(examples, SHEET_IMAGES))
    network.eval()
    made = of_images(network)(batch.x.to(device_of(network))).cpu()
    network.train()
    shown = slice(len(batch.names))
    rows = [examples.sources.pictures(shown), to_uint8(made)]
    if examples.paired:
        rows.append(examples.targets.pictures(shown))
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def check_sight(stage: Any) -> Any:
    """Raise ValueError unless a stage has a network to look through exactly where its game needs one."""
    if needs_sight(stage.objective) != (stage.sight is not None):
        raise ValueError("a game with a perceptual term, and no other, has a network to look through (sight)")
    return stage


def _brought(file: Path) -> Any:
    """The network of a model folder or of a foreign checkpoint."""
    return load_model(file).network if file.is_dir() else import_checkpoint(file).network


def _bytes(file: Path) -> bytes:
    """What makes a model folder or a checkpoint what it is."""
    files = [file / name for name in ("model.json", "weights.safetensors")] if file.is_dir() else [file]
    return b"".join(path.read_bytes() for path in files)
