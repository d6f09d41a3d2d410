"""A network as a file for the runtimes that serve it."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator

from pocketgan.data.batches import evaluation_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.task import Task
from pocketgan.deploy.metadata import describe
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.models import load_model
from pocketgan.pipeline.stage import Network, Stage, Workspace
from pocketgan.pipeline.timing import Stopwatch


def _with_files(name: str) -> str:
    if runtime_named(name).export is None:
        raise ValueError(f"{name} runs networks as they are and has no files; choose another runtime")
    return name


#: a runtime that has files of its own
RuntimeName = Annotated[str, AfterValidator(_with_files)]


class Export(Stage):
    """A network as a file for a runtime, verified on real images.

    Leaves: `model.onnx`, or with the suffix of another runtime, and `verified.json`.
    """

    kind: Literal["export"] = "export"
    network: Network
    task: Task
    runtime: RuntimeName = "onnxruntime"

    @property
    def leaves(self) -> tuple[str, ...]:
        return (self.file, "verified.json")

    @property
    def file(self) -> str:
        """The name of the file in its artifact."""
        return f"model{runtime_named(self.runtime).suffix}"

    def seconds(self, watch: Stopwatch) -> float:
        return watch.export(self.network.spec())

    def run(self, work: Workspace) -> None:
        # on the CPU, whatever the device: the file is, and the runtime that it is compared with
        network = load_model(work.inputs(self.network) / "model").network
        examples = load_examples(self.task, "select", work.cache, training=False)
        inputs = next(evaluation_batches(examples, 64)).x
        # instance norm blows rounding up where an image is flat: there runtimes may differ, and rightly so
        images = inputs[inputs.flatten(1).std(1).argsort(descending=True)[:4]]
        export = runtime_named(self.runtime).export_verified
        assert export is not None, "checked at construction"
        difference = export(network, self.task.size, work.artifact / self.file, images)
        describe(work.artifact / self.file, None if self.task.labels else self.task.source, self.task.target)
        text = json.dumps({"images": len(images), "largest_difference": difference}, indent=1)
        (work.artifact / "verified.json").write_text(text + "\n")
