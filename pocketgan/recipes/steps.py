"""One step of a training before what it builds on exists: to measure how long it takes."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from typing import cast

import torch

from pocketgan.data.batches import Batch
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.networks import Generator, GeneratorSpec, initialise
from pocketgan.objectives.base import Objective
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.pipeline.front import Pick
from pocketgan.pipeline.games import Sight
from pocketgan.pipeline.online import Players
from pocketgan.pipeline.searching import Extract, Search
from pocketgan.pipeline.stages import Distil, Given, OnlineDistil, Product, Train
from pocketgan.pipeline.training import Taught, Training
from pocketgan.runtime import Runtime, synchronise

MANY = 1000  # turns of the players: more than anybody measures


def step_of(stage: Training, batch: Batch, runtime: Runtime) -> Callable[[], object]:
    """A function that plays one more step of the training's game on `batch`, to its end on the device, at every
    call, and gives its losses."""
    game = untrained_game(stage)
    device = runtime.place
    game.setup(device, stage.precision)
    moved, numbers = batch.on(device), count()

    def step() -> object:
        losses = game.step(moved, random.Random(next(numbers)))
        game.finite.check()
        synchronise(device)
        return losses

    return step


def untrained_game(stage: Training) -> Objective:
    """The game of a training, with fresh networks in the places of those that earlier stages will leave.

    Where its steps are of two kinds, they alternate: see `shares_of`.
    """
    # the bundled network stands in for one that may have to be downloaded first
    stage = stage.model_copy(update={"sight": stage.sight and Sight()})
    if isinstance(stage, Taught):
        student = stage.student if stage.student or stage.space else left_by(stage.init)
        stage = stage.model_copy(update={"student": student, "init": None})
    if isinstance(stage, Distil):
        return stage.build(_fresh(left_by(stage.teacher)), None, None)
    if isinstance(stage, OnlineDistil):
        if isinstance(stage.objective, BurstSettings):
            # one step each turn, and turns enough
            once = {"every": 1, "n_dis": 1}
            stage = stage.model_copy(update={"schedule": stage.schedule.model_copy(update={"constant": MANY})})
        else:
            once = {"n_dis": min(stage.objective.n_dis, 2)}
        stage = stage.model_copy(update={"objective": stage.objective.model_copy(update=once)})
        return stage.build(_teachers(stage), None, 1, lambda network: 0.0)
    assert isinstance(stage, Train)
    return stage.build()


def shares_of(stage: Training) -> tuple[float, ...]:
    """For each kind of step, in the order in which an untrained game plays them by turns, its share of all steps of
    the training."""
    if not isinstance(stage, OnlineDistil):
        return (1.0,)
    times = stage.objective.n_dis
    if isinstance(stage.objective, BurstSettings):
        return 1 / (times + 1), times / (times + 1)
    return (1 - 1 / times, 1 / times) if times > 1 else (1.0,)


def epochs_of(stage: Training) -> int:
    """The epochs of all players together, where they have their own."""
    if isinstance(stage, OnlineDistil) and isinstance(stage.objective, BurstSettings):
        return stage.schedule.epochs * (stage.objective.n_dis + 1)
    return stage.schedule.epochs


def left_by(stage: object) -> GeneratorSpec:
    """The network that a stage will leave; of a search, the widest that it can find of about equal widths."""
    if isinstance(stage, Taught):
        spec = stage.space.spec if stage.space else stage.student
        return spec or left_by(stage.init)
    if isinstance(stage, Extract):
        return _widest(stage.search, stage.search.budget)
    if isinstance(stage, Pick):
        return _widest(stage.search, stage.budget)
    if isinstance(stage, Product):
        wide, deep = _brought(stage.source)
        spec = wide if stage.role == "teacher" else deep
        assert spec is not None, "it leaves this teacher"
        return spec.folded
    assert isinstance(stage, Train | Given)
    return stage.generator.folded


def _teachers(stage: OnlineDistil) -> Players:
    """Fresh ones, as they are when the stage starts; with a discriminator where they learn."""
    wide, deep = _brought(stage)
    alone = stage.model_copy(update={"wide": wide, "deep": deep, "teachers": None}).fresh()
    return alone if stage.objective.n_dis else alone._replace(discriminator=None)


def _brought(stage: OnlineDistil) -> tuple[GeneratorSpec | None, GeneratorSpec | None]:
    """The wide and the deep teacher, wherever they come from."""
    if stage.teachers is None:
        return stage.wide, stage.deep
    if isinstance(stage.teachers, OnlineDistil):
        return _brought(stage.teachers)
    return left_by(stage.teachers), None


def _widest(search: Search, budget: Budget) -> GeneratorSpec:
    space, task = search.space, search.supernet.task
    longest = max(len(choice.options) for choice in space.choices)
    for step in range(longest):
        genome = tuple(choice.options[min(step, len(choice.options) - 1)] for choice in space.choices)
        spec = cast(GeneratorSpec, space.subspec(genome))
        costs = cost(spec, *task.size)
        if all(costs[name] <= bound for name, bound in budget.bounds.items()):
            break
    return spec


def _fresh(spec: GeneratorSpec) -> Generator:
    # initialised: other weights may overflow where no norm holds them
    return initialise(spec.build(), torch.Generator().manual_seed(0)).eval()
