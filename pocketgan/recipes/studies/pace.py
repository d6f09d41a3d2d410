"""How fast this machine trains: processor seconds of one step, by the name of the kind of training."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from pocketgan.data.batches import Batch
from pocketgan.errors import DataError
from pocketgan.pipeline.stages import Training
from pocketgan.recipes.steps import step_of
from pocketgan.runtime import Runtime

WARM_UP, STEPS = 2, 6
LONG = 4.0  # seconds that are enough for one figure


class Pace:
    """Processor seconds of one step, by name. What is not known is measured when it is first asked for.

    Args:
        known: figures that are given.
        file: where figures are kept, so that a study that goes on uses those with which it began; they come before
            `known`. Raises `DataError` when it is damaged.
    """

    def __init__(
        self, known: Mapping[str, float] | None = None, file: Path | None = None, runtime: Runtime | None = None
    ) -> None:
        self.file, self.runtime = file, runtime or Runtime(device="cpu")
        self.known = {**(known or {}), **(_read(file) if file and file.exists() else {})}

    def __call__(self, name: str, stage: Training) -> float:
        """The figure of this name; where there is none yet, that of a training like `stage`."""
        if name not in self.known:
            self.known[name] = measured(stage, self.runtime)
        self._keep()
        return self.known[name]

    def _keep(self) -> None:
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            part = self.file.with_name(self.file.name + ".part")
            part.write_text(json.dumps(self.known, indent=1) + "\n")
            os.replace(part, self.file)


def measured(stage: Training, runtime: Runtime) -> float:
    """Processor seconds of one step, over all threads: the mean of some after the first ones. Off the CPU, where
    the processor waits, seconds of the device: those on the clock, until it has computed the step."""
    size, batch_size = stage.task.size, stage.schedule.batch_size
    random = torch.Generator().manual_seed(0)
    x, y = (
        torch.rand(batch_size, channels, *size, generator=random) * 2 - 1
        for channels in (stage.task.in_channels, 3)
    )
    step = step_of(stage, Batch(x, y, ()), runtime)
    for _ in range(WARM_UP):
        step()
    clock = time.process_time if runtime.place.type == "cpu" else time.perf_counter
    start, steps = clock(), 0
    while steps < STEPS and (not steps or clock() - start < LONG):
        step()
        steps += 1
    return round((clock() - start) / steps, 6)


def _read(file: Path) -> dict[str, float]:
    try:
        known = {str(name): float(seconds) for name, seconds in json.loads(file.read_text()).items()}
        if not all(seconds > 0 for seconds in known.values()):
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        raise DataError(f"{file} is damaged; put it back as it was, or choose another --out") from None
    return known
