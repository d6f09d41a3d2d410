"""How long a recipe will take on this machine, from a few measured steps."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from statistics import median

import torch

from pocketgan.data.batches import Batch, steps_per_epoch
from pocketgan.metrics.features import MobileNetV2
from pocketgan.models import load_model
from pocketgan.networks import Generator
from pocketgan.objectives.base import Objective
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import Distil, Evaluate, Search, Train, Training
from pocketgan.pipeline.store import Store
from pocketgan.recipes.recipe import Recipe
from pocketgan.search import Evolution, Random, Strategy
from pocketgan.training.fit import Runtime, make_fabric

STEPS = 3
EXPORT_SECONDS = 6.0  # tracing dominates; nearly the same for every network


def estimate_seconds(recipe: Recipe, store: Store, runtime: Runtime) -> dict[str, float]:
    """Seconds for each stage of the recipe that is not finished; 0 for the others."""
    task = recipe.task
    noise = torch.rand(1, 3, task.size, task.size) * 2 - 1
    counts = {split: len(task.files(split)) for split in ("train", "select", "test")}
    teacher_network = _generator(recipe)
    student_network = recipe.search.space.spec.build().eval()
    features = MobileNetV2.load()

    def forward(network: torch.nn.Module) -> float:
        with torch.inference_mode():
            return _median(lambda: features(network(noise)))

    def seconds(stage: Stage) -> float:
        if store.status(stage) == "finished":
            return 0.0
        if isinstance(stage, Training):
            batch = noise.expand(stage.schedule.batch_size, -1, -1, -1).contiguous()
            step = _step_seconds(_game(recipe, stage, teacher_network), Batch(batch, batch, ()), stage, runtime)
            return step * stage.schedule.epochs * steps_per_epoch(counts["train"], stage.schedule.batch_size)
        if isinstance(stage, Search):
            candidates = min(_candidates(stage.strategy), stage.space.size)
            return forward(student_network) * counts["select"] * candidates
        if isinstance(stage, Evaluate):
            network = teacher_network if stage.network == recipe.teacher else student_network
            return forward(network) * counts[stage.split]
        return EXPORT_SECONDS if stage.kind == "export" else 1.0

    return {name: seconds(stage) for name, stage in recipe.stages.items()}


def _candidates(strategy: Strategy) -> int | float:
    """How many subnets a search scores at most."""
    if isinstance(strategy, Evolution):
        return strategy.population * (strategy.generations + 1)
    return strategy.candidates if isinstance(strategy, Random) else math.inf


def _generator(recipe: Recipe) -> Generator:
    if isinstance(recipe.teacher, Train):
        return recipe.teacher.generator.build().eval()
    return load_model(recipe.teacher.folder).network


def _game(recipe: Recipe, stage: Training, teacher: Generator) -> Objective:
    if isinstance(stage, Distil):
        # fine-tuning is measured on the widest network it could get: an upper bound
        space = stage.space or recipe.search.space
        return stage.model_copy(update={"space": space, "init": None}).build(teacher, None, None)
    assert isinstance(stage, Train)
    return stage.build()


def _step_seconds(game: Objective, batch: Batch, stage: Training, runtime: Runtime) -> float:
    fabric = make_fabric(runtime.device, stage.precision)
    game.setup(fabric)
    batch = Batch(fabric.to_device(batch.x), fabric.to_device(batch.y), ())
    return _median(lambda: game.step(batch, random.Random(0)))


def _median(call: Callable[[], object]) -> float:
    times = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times[1:])
