"""A network as a file for the runtimes that serve it."""

from __future__ import annotations

import json
import math
from typing import Annotated, Literal

from pydantic import AfterValidator

from pocketgan.data.batches import evaluation_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.task import Task
from pocketgan.deploy.metadata import describe
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.deploy.ship import export_verified
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
        network, _, facts = load_model(work.inputs(self.network) / "model")
        examples = load_examples(self.task, "select", work.cache, training=False)
        inputs = next(evaluation_batches(examples, 64)).x
        file = work.artifact / self.file
        found = export_verified(network, self.task.size, file, inputs, runtime=self.runtime, facts=facts)
        describe(file, None if self.task.labels else self.task.source, self.task.target)
        psnr = None if math.isinf(found.psnr) else found.psnr
        told = {"images": found.images, "largest_difference": found.largest, "psnr_db": psnr}
        (work.artifact / "verified.json").write_text(json.dumps(told, indent=1) + "\n")
