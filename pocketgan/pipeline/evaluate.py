"""The scores of a network."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from pocketgan.data.images import shown, to_uint8
from pocketgan.data.samples import Split
from pocketgan.data.task import Task
from pocketgan.metrics import Evaluation
from pocketgan.metrics.on_task import task_evaluator
from pocketgan.models import of_images
from pocketgan.pipeline.stage import Network, Stage, Workspace
from pocketgan.pipeline.timing import Stopwatch


class Evaluate(Stage):
    """Every metric of a network on one split.

    Leaves: an `Evaluation`, and the images that the network made, for the eye (`images.npy`, uint8).
    Fields:
        metrics: which; default what suits the data.
        teacher: the network whose images the metrics teacher_... compare with.
    """

    shared: ClassVar[bool] = True

    kind: Literal["evaluate"] = "evaluate"
    network: Network
    task: Task
    split: Split = "test"
    metrics: tuple[str, ...] | None = None
    teacher: Network | None = None

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("evaluation.json", "images.npy")

    def seconds(self, watch: Stopwatch) -> float:
        images = -(-self.task.counts()[self.split] // watch.runtime.devices)
        return images * watch.scoring(self.network.spec(), self.task.size)

    def run(self, work: Workspace) -> None:
        network = of_images(work.network(self.network))
        teacher = of_images(work.network(self.teacher)) if self.teacher else None
        count = len(self.task.files(self.split)[0 if self.task.direction == "AtoB" else 1])
        images: list[np.ndarray] = []

        def generate(x: torch.Tensor) -> torch.Tensor:
            y = network(x)
            images.append(shown(to_uint8(y)))
            if work.world.leads:
                work.progress(min(count, work.world.size * sum(map(len, images))), count)
            return y

        evaluator = task_evaluator(
            self.task,
            self.split,
            work.cache,
            device=work.runtime.place,
            metrics=self.metrics,
            teacher=teacher,
            weights=work.runtime.weights,
            world=work.world,
        )
        found = evaluator(generate, intervals=True)
        every = work.world.in_order([torch.from_numpy(each) for each in images])
        if work.world.leads:
            found.save(work.artifact)
            np.save(work.artifact / "images.npy", torch.cat(every).numpy())

    def load(self, artifact: Path) -> Evaluation:
        return Evaluation.load(artifact)
