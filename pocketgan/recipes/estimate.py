"""How long a recipe will take on this machine, from a few measured steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median

import torch

from pocketgan.data.batches import Batch, steps_per_epoch
from pocketgan.elastic.calibrate import has_statistics
from pocketgan.elastic.cost import cost
from pocketgan.errors import SpecError
from pocketgan.networks import Generator, initialise
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import Evaluate, Front, Search, Training
from pocketgan.pipeline.store import Store
from pocketgan.pretrained.mobilenet_v2 import MobileNetV2
from pocketgan.recipes.families import check_sides
from pocketgan.recipes.recipe import Recipe
from pocketgan.recipes.steps import epochs_of, left_by, shares_of, step_of
from pocketgan.runtime import Runtime
from pocketgan.units import Size

STEPS = 3
LONG = 3.0  # seconds that are enough for one figure
EXPORT_SECONDS = 6.0  # tracing dominates; nearly the same for every network
QUICK = 8_000_000_000  # true MACs of a teacher's forward that is measured as it is


def estimate_seconds(recipe: Recipe, store: Store, runtime: Runtime) -> dict[str, float]:
    """Seconds for each stage of the recipe that is not finished; 0 for the others.

    Steps of large networks are measured on one small image, and taken to cost in proportion to the pixels.
    """
    task = recipe.task
    size, batch_limit = _probe(recipe)
    pixels = math.prod(task.size) / math.prod(size)
    x, y = (torch.rand(1, channels, *size) * 2 - 1 for channels in (task.in_channels, 3))
    counts = task.counts()
    # as a student meets it, and initialised: other weights may overflow where no norm holds them
    teacher_network = initialise(left_by(recipe.teacher).build(), torch.Generator().manual_seed(0)).eval()
    student_network = left_by(recipe.distillation).build().eval()
    features = MobileNetV2.load()

    def forward(network: Generator) -> float:
        with torch.inference_mode():
            seconds = _median(lambda: network(x)) * pixels
            return seconds + _median(lambda: features(y))

    def seconds(stage: Stage) -> float:
        if store.status(stage) == "finished":
            return 0.0
        if isinstance(stage, Training):
            count = min(stage.schedule.batch_size, batch_limit)
            batch = Batch(x.repeat(count, 1, 1, 1), y.repeat(count, 1, 1, 1), ())
            shares = shares_of(stage)
            measured = _medians(step_of(stage, batch, runtime), len(shares))
            step = sum(share * seconds for share, seconds in zip(shares, measured, strict=True))
            step *= pixels * stage.schedule.batch_size / count
            return step * epochs_of(stage) * steps_per_epoch(task.epoch(stage.splits), stage.schedule.batch_size)
        if isinstance(stage, Search):
            candidates = min(stage.strategy.most_after(-1), stage.space.size)
            images = counts["select"] + (stage.calibration if has_statistics(student_network) else 0)
            return forward(student_network) * images * candidates
        if isinstance(stage, Evaluate):
            network = teacher_network if stage.network == recipe.teacher else student_network
            return forward(network) * counts[stage.split]
        if isinstance(stage, Front):
            return EXPORT_SECONDS * stage.points
        return EXPORT_SECONDS if stage.kind == "export" else 1.0

    return {name: seconds(stage) for name, stage in recipe.stages.items()}


def _probe(recipe: Recipe) -> tuple[Size, int]:
    """The largest size whose teacher is quickly run, halved from the task's as the networks allow; and the largest
    batch that may be measured at it."""
    size, spec = recipe.task.size, left_by(recipe.teacher)
    while cost(spec, *size)["true_macs"] > QUICK:
        half = (size[0] // 2, size[1] // 2)
        try:
            check_sides(half, spec, recipe.distillation.discriminator)
        except SpecError:
            break
        size = half
    return size, max(1, QUICK // cost(spec, *size)["true_macs"])


def _median(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    return _medians(call, 1)[0]


def _medians(call: Callable[[], object], kinds: int) -> list[float]:
    """Seconds of a call of each kind; they alternate. The first of each warms up, unless they take long."""
    rounds: list[list[float]] = []
    while len(rounds) <= STEPS and sum(map(sum, rounds)) < LONG:
        rounds.append([_seconds(call) for _ in range(kinds)])
    return [median(times) for times in zip(*(rounds[1:] or rounds), strict=True)]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
