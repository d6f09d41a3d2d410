"""How fast this machine trains: processor seconds of one step, by the name of the kind of training."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from pocketgan.errors import DataError
from pocketgan.files import replacing
from pocketgan.pipeline.timing import noise, step_of
from pocketgan.pipeline.training import Training
from pocketgan.runtime import Runtime, synchronise

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
            with replacing(self.file) as part:
                part.write_text(json.dumps(self.known, indent=1) + "\n")


def measured(stage: Training, runtime: Runtime) -> float:
    """Processor seconds of one step, over all threads: the mean of some after the first ones. On an accelerator,
    whose work no processor's clock counts, seconds by the wall."""
    task = stage.task
    batch = noise(stage.schedule.batch_size, task.in_channels, task.size, task.out_channels)
    step = step_of(stage, batch, runtime)
    for _ in range(WARM_UP):
        step()
    clock = time.process_time if runtime.place.type == "cpu" else time.perf_counter
    synchronise(runtime.place)
    start, steps = clock(), 0
    while steps < STEPS and (not steps or clock() - start < LONG):
        step()
        synchronise(runtime.place)
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
