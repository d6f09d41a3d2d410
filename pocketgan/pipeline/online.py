"""Stages of online distillation: teachers and student learn together; and each of the teachers as a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import model_validator
from torch import nn

from pocketgan.data.batches import PackedBatch, steps_per_epoch, student_batches
from pocketgan.data.cache import Examples, load_examples
from pocketgan.data.inputs import Inputs, load_inputs
from pocketgan.distributed import World
from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.metrics import METRICS
from pocketgan.metrics.catalog import FRECHET
from pocketgan.metrics.on_task import task_evaluator
from pocketgan.models import load_model, of_images
from pocketgan.networks import (
    DiscriminatorSpec,
    Generator,
    GeneratorSpec,
    PatchSpec,
    SharedPatchSpec,
    initialise,
)
from pocketgan.objectives.base import Objective
from pocketgan.objectives.bursts import BurstDistiller, BurstSettings, TeacherScore, Turn, turns
from pocketgan.objectives.imitation import LOOKED_AT
from pocketgan.objectives.online import OnlineDistiller, OnlineSettings
from pocketgan.pipeline.distil import StudentTraining
from pocketgan.pipeline.games import Imitating
from pocketgan.pipeline.stage import Network, Stage, Workspace
from pocketgan.training.schedule import Rates, Schedule

Game = OnlineDistiller | BurstDistiller
Role = Literal["teacher", "deep_teacher"]
MANY = 1000  # turns of the players: more than anybody measures


class OnlineDistil(StudentTraining):
    """A student imitates teachers while they learn.

    Leaves: `model/`, `teacher/`, `deep_teacher/`, `discriminator/`; without pairs `backward/` and
    `backward_discriminator/` instead of a deep teacher.
    Fields:
        wide, deep: fresh teachers.
        teachers: instead of them, those of a finished stage, with their discriminator where they are to learn on.
        unlabelled: inputs from which the student learns besides, whenever the teachers do not; where they never do
            and it is to see the truth, at every second step.
        metric: what chooses among teachers without pairs, on the selection split.
    """

    kind: Literal["online-distil"] = "online-distil"
    wide: GeneratorSpec | None = None
    deep: GeneratorSpec | None = None
    teachers: Network | None = None
    discriminator: DiscriminatorSpec | SharedPatchSpec = PatchSpec()
    objective: Imitating = OnlineSettings()
    unlabelled: Inputs | None = None
    metric: str = FRECHET

    @model_validator(mode="after")
    def _possible(self) -> OnlineDistil:
        if (self.teachers is None) == (self.wide is None and self.deep is None):
            raise ValueError("teachers are either fresh (wide, deep) or those of a finished stage (teachers)")
        if self.teachers is None and self.objective.n_dis == 0:
            raise ValueError("fresh teachers must learn; set n_dis to 1 or more")
        if isinstance(self.objective, BurstSettings) and (self.teachers or self.deep or self.wide is None):
            raise ValueError("without pairs there is one fresh teacher, a wide one")
        if self.unlabelled and isinstance(self.objective, OnlineSettings) and self.objective.n_dis == 1:
            raise ValueError("inputs without a partner are for steps without the teachers; set n_dis to 2 or more")
        return self

    @property
    def teacher(self) -> TeacherOf:
        """The wide teacher, or else the deep one, as a network of its own."""
        return TeacherOf(source=self, role=self.roles[0])

    @property
    def roles(self) -> tuple[Role, ...]:
        """The teachers that it leaves."""
        return tuple(self.teacher_specs)

    @property
    def teacher_specs(self) -> dict[Role, GeneratorSpec]:
        """The teachers that it leaves, wherever they come from."""
        if isinstance(self.teachers, OnlineDistil):
            return self.teachers.teacher_specs
        if self.teachers:
            return {"teacher": self.teachers.spec()}
        both: dict[Role, GeneratorSpec | None] = {"teacher": self.wide, "deep_teacher": self.deep}
        return {role: spec for role, spec in both.items() if spec}

    @property
    def leaves(self) -> tuple[str, ...]:
        if isinstance(self.objective, BurstSettings):
            return ("model", "teacher", "backward", "discriminator", "backward_discriminator")
        return ("model", *self.roles, *(("discriminator",) if self.objective.n_dis else ()))

    def spec(self, name: str = "model") -> GeneratorSpec:
        teachers: dict[Any, GeneratorSpec] = self.teacher_specs
        return teachers[name].folded if name in teachers else super().spec()

    @property
    def largest(self) -> GeneratorSpec:
        return self.spec(self.roles[0])

    @property
    def shares(self) -> tuple[float, ...]:
        times = self.objective.n_dis
        if isinstance(self.objective, BurstSettings):
            return 1 / (times + 1), times / (times + 1)
        return (1 - 1 / times, 1 / times) if times > 1 else (1.0,)

    @property
    def epochs(self) -> int:
        turns = self.objective.n_dis + 1 if isinstance(self.objective, BurstSettings) else 1
        return self.schedule.epochs * turns

    def notes(self) -> tuple[str, ...]:
        teachers = ("The teacher of each turn was chosen on the selection split.",)
        return (*super().notes(), *(teachers if isinstance(self.objective, BurstSettings) else ()))

    def untrained(self) -> Objective:
        stage: OnlineDistil = self._fresh()
        if isinstance(self.objective, BurstSettings):
            # one step each turn, and turns enough
            once = {"every": 1, "n_dis": 1}
            stage = stage.model_copy(update={"schedule": self.schedule.model_copy(update={"constant": MANY})})
        else:
            once = {"n_dis": min(self.objective.n_dis, 2)}
        stage = stage.model_copy(update={"objective": self.objective.model_copy(update=once)})
        specs = self.teacher_specs
        teachers = {"wide": specs.get("teacher"), "deep": specs.get("deep_teacher"), "teachers": None}
        players = stage.model_copy(update=teachers).fresh()
        if not stage.objective.n_dis:
            players = players._replace(discriminator=None)
        return stage.build(players, None, 1, lambda network: 0.0)

    def build(
        self, players: Players, init: Generator | None, epoch_steps: int, teacher_score: TeacherScore | None
    ) -> Game:
        """The game before its first step. `teacher_score`: what chooses among teachers, without pairs."""
        student = self._student(init)
        connectors = None
        if self.objective.channel and players.wide is not None:
            spec, wide = student.spec, players.wide.spec
            channels = {tap: (spec.tap_channels(tap), wide.tap_channels(tap)) for tap in spec.taps}
            connectors = ChannelConnectors(channels).initialise(self._random("connectors"))
        features = self.feature_network.open(LOOKED_AT) if self.feature_network else None
        settings = self.objective
        if isinstance(settings, OnlineSettings):
            return OnlineDistiller(
                settings,
                student,
                players.discriminator,
                wide=players.wide,
                deep=players.deep,
                connectors=connectors,
                perceptual=features,
                space=self.space,
            )
        assert players.wide is not None, "checked at construction"
        assert players.discriminator is not None, "fresh teachers have one"
        assert teacher_score is not None, "without pairs there is a choice to make"
        return BurstDistiller(
            settings,
            student,
            players.wide,
            self._initialised(players.wide.spec, "backward generator"),
            players.discriminator,
            self._initialised(self.discriminator, "backward discriminator"),
            epochs=self.schedule.epochs,
            epoch_steps=epoch_steps,
            teacher_score=teacher_score,
            connectors=connectors,
            perceptual=features,
            space=self.space,
        )

    def fresh(self) -> Players:
        """Teachers and discriminator before their first step, as far as none are brought along."""
        return Players(
            self._initialised(self.wide, "generator of the wide teacher") if self.wide else None,
            self._initialised(self.deep, "generator of the deep teacher") if self.deep else None,
            self._initialised(self.discriminator, "discriminator"),
        )

    def _initialised(self, spec: Any, name: str) -> Any:
        return initialise(spec.build(), self._random(name))

    def finished(self, artifact: Path) -> Players:
        """Those of the stage `teachers`, whose artifact this is."""

        def load(name: str) -> Any:
            return load_model(artifact / name).network if (artifact / name).is_dir() else None

        learning = isinstance(self.objective, OnlineSettings) and self.objective.n_dis > 0
        discriminator = load("discriminator") if learning else None
        if isinstance(self.teachers, OnlineDistil):
            return Players(load("teacher"), load("deep_teacher"), discriminator)
        return Players(load("model"), None, discriminator)

    def run(self, work: Workspace) -> None:
        players = self.finished(work.inputs(self.teachers)) if self.teachers else self.fresh()
        examples = load_examples(self.task, self.splits, work.cache, training=True)
        steps = steps_per_epoch(len(examples), self.schedule.batch_size)
        schedule: Rates = self.schedule
        teacher_score = None
        if isinstance(self.objective, BurstSettings):
            schedule = Bursts(self.schedule, turns(self.schedule.epochs, self.objective), steps)
            teacher_score = self._teacher_score(work)
        game = self.build(players, self._initial(work), steps, teacher_score)
        epoch = None
        if self.unlabelled:
            union = load_inputs(self.unlabelled, self.task, self.splits, work.cache)
            epoch = partial(self._mixed, union, game)
        self._fit(work, game, epoch, schedule)

    def _mixed(
        self, union: Examples, game: Game, world: World, examples: Examples, epoch: int, first: int
    ) -> Iterable[PackedBatch]:
        """The batches of an epoch, from `union` wherever no real images are needed."""
        return student_batches(
            examples,
            union,
            game.labelled,
            batch_size=self.schedule.batch_size,
            size=self.task.size,
            flip=self.task.flip,
            rotate=self.task.rotate,
            seed=self.seed,
            epoch=epoch,
            start_step=first,
            world=world,
        )

    def _teacher_score(self, work: Workspace) -> TeacherScore:
        """How good a generator is on the selection split, lower being better."""
        evaluator = task_evaluator(
            self.task,
            "select",
            work.cache,
            device=work.runtime.place,
            metrics=(self.metric,),
            weights=work.runtime.weights,
            world=work.world,
        )
        sign = 1 if METRICS[self.metric].better == "lower" else -1

        def score(network: nn.Module) -> float:
            found = evaluator(of_images(network)).scores[self.metric]
            # what decides which teacher is kept is one number, were it in its last bit, on all machines
            return sign * work.world.first(lambda: found)

        return score


class Players(NamedTuple):
    """The teachers, and the discriminator of those that learn."""

    wide: Generator | None
    deep: Generator | None
    discriminator: nn.Module | None


class Bursts(NamedTuple):
    """A schedule of the teachers, with the student's epochs put between theirs; stands in for a `Schedule`."""

    schedule: Schedule
    turns: tuple[Turn, ...]
    epoch_steps: int

    @property
    def epochs(self) -> int:
        return len(self.turns)

    @property
    def batch_size(self) -> int:
        return self.schedule.batch_size

    def factor(self, epoch: int, step: int = 0) -> float:
        """The student keeps the learning rate of the teachers' last step; only steps of theirs count."""
        turn = self.turns[epoch]
        within = step % self.epoch_steps if turn.teaches else self.epoch_steps - 1
        return self.schedule.factor(turn.teacher_epoch, turn.teacher_epoch * self.epoch_steps + within)


class TeacherOf(Stage):
    """One of the teachers of an online distillation as a network of its own.

    Leaves: `model/`.
    """

    kind: Literal["teacher-of"] = "teacher-of"
    source: OnlineDistil
    role: Role

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model",)

    def spec(self, name: str = "model") -> GeneratorSpec:
        return self.source.spec(self.role)

    def run(self, work: Workspace) -> None:
        shutil.copytree(work.inputs(self.source) / self.role, work.artifact / "model")
