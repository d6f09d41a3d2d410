"""The latencies that a run reports: measured once a machine, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pocketgan.deploy.latency import latencies
from pocketgan.deploy.machine import Machine
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.errors import DataError
from pocketgan.pipeline.recipe import Recipe
from pocketgan.report.measurement import Measurement
from pocketgan.runs.report import read_report


def measurements_of(recipe: Recipe, out: Path, exports: Mapping[str, Path]) -> tuple[Measurement, ...]:
    """All measurements of a run's networks, the one to report first.

    Those of earlier reports stay. Anew is measured only what this machine, with these versions, has not measured
    before, or only while it was busy; of its own, that of the quietest time is reported.

    Args:
        exports: the networks' files, by the names of `recipe.networks`.
    """
    earlier: tuple[Measurement, ...] = ()
    with suppress(DataError):  # there is none, or it is damaged and written anew
        earlier = read_report(out).measurements
    runtime = runtime_named("onnxruntime")
    digests = {name: network.digest for name, network in recipe.networks.items()}
    mine = (Machine.here(), runtime.version(), recipe.task.size, digests)
    own = [each for each in earlier if (each.machine, each.runtime, each.size, each.digests) == mine]
    if all(each.busy for each in own):
        found = latencies(runtime, list(exports.values()), recipe.task.size)
        own.append(
            Measurement(
                date=datetime.now(UTC),
                machine=mine[0],
                runtime=found[0].runtime,
                threads=found[0].threads,
                size=recipe.task.size,
                digests=digests,
                latencies=dict(zip(exports, found, strict=True)),
            )
        )
        earlier = (*earlier, own[-1])
    best = min(own, key=lambda each: each.waiting)
    return best, *(each for each in earlier if each is not best)
