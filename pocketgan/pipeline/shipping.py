"""Stages that finish: the scores of a network, and its files for the runtimes that serve it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from pocketgan.data.batches import evaluation_batches, target_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.images import to_uint8
from pocketgan.data.samples import Split
from pocketgan.data.task import Task
from pocketgan.deploy.onnx import export_verified
from pocketgan.metrics import Evaluation, Evaluator
from pocketgan.models import load_model, of_images
from pocketgan.pipeline.searching import BATCH
from pocketgan.pipeline.stage import Stage, Workspace

if TYPE_CHECKING:
    from pocketgan.pipeline.stages import AnyStage


class Evaluate(Stage):
    """Every metric of a network on one split. Leaves an `Evaluation` and what it made (`images.npy`, uint8).

    `metrics`: which; default what suits the data. `teacher`: whose outputs the metrics teacher_... hold against.
    """

    kind: Literal["evaluate"] = "evaluate"
    network: AnyStage
    task: Task
    split: Split = "test"
    metrics: tuple[str, ...] | None = None
    teacher: AnyStage | None = None

    def run(self, work: Workspace) -> None:
        network = of_images(load_model(work.inputs(self.network) / "model").network)
        teacher = of_images(load_model(work.inputs(self.teacher) / "model").network) if self.teacher else None
        examples = load_examples(self.task, self.split, work.cache, training=False)
        made: list[np.ndarray] = []

        def generate(x: torch.Tensor) -> torch.Tensor:
            y = network(x)
            made.append(to_uint8(y))
            work.progress(sum(map(len, made)), len(examples.sources))
            return y

        evaluator = Evaluator(
            list(evaluation_batches(examples, BATCH)),
            metrics=self.metrics,
            targets=None if self.task.paired else list(target_batches(examples, BATCH)),
            teacher=teacher,
            weights=work.runtime.weights,
        )
        evaluator(generate, intervals=True).save(work.artifact)
        np.save(work.artifact / "images.npy", np.concatenate(made))

    def load(self, artifact: Path) -> Evaluation:
        return Evaluation.load(artifact)


class Export(Stage):
    """A network for ONNX runtimes, verified on real images. Leaves `model.onnx` and `verified.json`."""

    kind: Literal["export"] = "export"
    network: AnyStage
    task: Task

    def run(self, work: Workspace) -> None:
        network = load_model(work.inputs(self.network) / "model").network
        examples = load_examples(self.task, "select", work.cache, training=False)
        inputs = next(evaluation_batches(examples, 64)).x
        # instance norm blows rounding up where an image is flat: there runtimes may differ, and rightly so
        images = inputs[inputs.flatten(1).std(1).argsort(descending=True)[:4]]
        difference = export_verified(network, self.task.size, work.artifact / "model.onnx", images)
        text = json.dumps({"images": len(images), "largest_difference": difference}, indent=1)
        (work.artifact / "verified.json").write_text(text + "\n")
