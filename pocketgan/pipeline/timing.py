"""How long stages will take: measured on steps, forwards and exports of fresh networks."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any

import torch

from pocketgan.data.batches import Batch
from pocketgan.elastic.cost import cost
from pocketgan.errors import SpecError
from pocketgan.metrics.pace import seconds_an_image
from pocketgan.metrics.resident import batch_on
from pocketgan.models import of_images
from pocketgan.networks import GeneratorSpec, initialise
from pocketgan.pipeline.games import check_sides
from pocketgan.runtime import Runtime, synchronise
from pocketgan.units import Size

STEPS = 3
LONG = 3.0  # seconds that are enough for one figure
#: true MACs of a generator's forward that is measured as it is: larger ones on smaller images
QUICK = {"cpu": 8_000_000_000}
QUICK_ELSEWHERE = 8_000_000_000_000


#: a `pipeline.training.Training`, which builds on this module
Training = Any


class Stopwatch:
    """Measures on the runtime's device, each thing once. Seconds."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.device = runtime, runtime.place
        self._scorings: dict[tuple[GeneratorSpec, Size], float] = {}

    def step(self, stage: Training) -> float:
        """The mean over all kinds of steps of a training, with the share of one device. Steps of large networks are
        measured on one small image, and taken to cost in proportion to the pixels."""
        size, most = self._probe(stage.largest, stage.task.size, stage.discriminator)
        share = max(1, stage.schedule.batch_size // self.runtime.devices)
        images = min(share, most)
        batch = noise(images, stage.task.in_channels, size, stage.task.out_channels)
        seconds = self._medians(step_of(stage, batch, self.runtime), len(stage.shares))
        mean = sum(share * one for share, one in zip(stage.shares, seconds, strict=True))
        return mean * _pixels(stage.task.size) / _pixels(size) * share / images

    def scoring(self, spec: GeneratorSpec, size: Size) -> float:
        """One image of a generator, scored by the usual metric."""
        if (spec, size) not in self._scorings:
            probe, most = self._probe(spec, size)
            network = initialise(spec.build(), torch.Generator().manual_seed(0)).eval().to(self.device)
            x = noise(max(2, min(batch_on(self.device, probe), most)), spec.in_channels, probe).x
            seconds = seconds_an_image(of_images(network), x, device=self.device, out_channels=spec.out_channels)
            self._scorings[spec, size] = seconds * _pixels(size) / _pixels(probe)
        return self._scorings[spec, size]

    def export(self, spec: GeneratorSpec) -> float:
        """An export to ONNX: what is traced and rewritten grows with the number of layers, not with their size."""
        with torch.device("meta"):
            layers = sum(1 for module in spec.build().modules() if not list(module.children()))
        return EXPORT_SECONDS + EXPORT_SECONDS_A_LAYER * layers

    def _probe(self, spec: GeneratorSpec, size: Size, discriminator: Any = None) -> tuple[Size, int]:
        """The largest size at which a generator is quickly run, halved from its own as the networks allow; and the
        largest batch that may be measured at it."""
        quick = QUICK.get(self.device.type, QUICK_ELSEWHERE)
        while cost(spec, *size)["true_macs"] > quick:
            half = (size[0] // 2, size[1] // 2)
            try:
                check_sides(half, spec, discriminator) if discriminator else spec.check_size(*half)
            except SpecError:
                break
            size = half
        return size, max(1, quick // cost(spec, *size)["true_macs"])

    def _medians(self, call: Callable[[], object], kinds: int = 1) -> list[float]:
        """Seconds of a call of each kind; they alternate. The first of each warms up, unless they take long."""
        rounds: list[list[float]] = []
        while len(rounds) <= STEPS and sum(map(sum, rounds)) < LONG:
            rounds.append([self._seconds(call) for _ in range(kinds)])
        if len(rounds) == 1 and self.device.type != "cpu":
            # on an accelerator the first call makes things ready, which may take longer than all that follows
            rounds.append([self._seconds(call) for _ in range(kinds)])
        return [median(times) for times in zip(*(rounds[1:] or rounds), strict=True)]

    def _seconds(self, call: Callable[[], object]) -> float:
        synchronise(self.device)
        start = time.perf_counter()
        call()
        synchronise(self.device)
        return time.perf_counter() - start


#: measured with PyTorch 2.13 on one core: 5 s for a ResNet of 9 blocks, 17 s for a SPADE
EXPORT_SECONDS, EXPORT_SECONDS_A_LAYER = 1.5, 0.06


def step_of(stage: Training, batch: Batch, runtime: Runtime) -> Callable[[], object]:
    """A function that plays one more step of a training's game, with fresh networks, on `batch`, to its end on the
    device, at every call, and gives its losses."""
    game, device = stage.untrained(), runtime.place
    game.setup(device, stage.precision)
    moved, numbers = batch.on(device), count()

    def step() -> object:
        losses = game.step(moved, random.Random(next(numbers)))
        game.finite.check()
        synchronise(device)
        return losses

    return step


def noise(images: int, channels: int, size: Size, out_channels: int = 3) -> Batch:
    """A batch of noise in [-1, 1]."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(images, planes, *size, generator=generator) * 2 - 1 for planes in (channels, out_channels))
    return Batch(x, y, ())


def _pixels(size: Size) -> int:
    return math.prod(size)
