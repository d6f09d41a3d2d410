"""A network as a file for the runtimes that serve it."""

from __future__ import annotations

import json
from typing import Literal

from pocketgan.data.batches import evaluation_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.task import Task
from pocketgan.deploy.onnx import export_verified
from pocketgan.models import load_model
from pocketgan.pipeline.stage import Network, Stage, Workspace
from pocketgan.pipeline.timing import Stopwatch


class Export(Stage):
    """A network for ONNX runtimes, verified on real images.

    Leaves: `model.onnx` and `verified.json`.
    """

    kind: Literal["export"] = "export"
    network: Network
    task: Task

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model.onnx", "verified.json")

    def seconds(self, watch: Stopwatch) -> float:
        return watch.export(self.network.spec())

    def run(self, work: Workspace) -> None:
        # on the CPU, whatever the device: the file is, and the runtime that it is compared with
        network = load_model(work.inputs(self.network) / "model").network
        examples = load_examples(self.task, "select", work.cache, training=False)
        inputs = next(evaluation_batches(examples, 64)).x
        # instance norm blows rounding up where an image is flat: there runtimes may differ, and rightly so
        images = inputs[inputs.flatten(1).std(1).argsort(descending=True)[:4]]
        difference = export_verified(network, self.task.size, work.artifact / "model.onnx", images)
        text = json.dumps({"images": len(images), "largest_difference": difference}, indent=1)
        (work.artifact / "verified.json").write_text(text + "\n")
