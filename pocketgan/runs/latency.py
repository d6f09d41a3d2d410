"""The latency of a finished run's network, beside what was asked and what was predicted."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from pocketgan.deploy.card import beside
from pocketgan.deploy.latency import BUSY, beside_reference
from pocketgan.deploy.machine import Machine
from pocketgan.deploy.runtimes import Serving, runtime_named
from pocketgan.files import replacing
from pocketgan.pipeline.export import Export
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.store import Store
from pocketgan.report.model import DeliveredLatency


def delivered_latency(recipe: Recipe, store: Store) -> DeliveredLatency | None:
    """The latency of the result's own file on the runtime on which the budget bounds it; None where it does not."""
    search, picked, asked = recipe.search, recipe.picked, recipe.budget.latency_ms
    if asked is None or search is None or search.latency is None or picked is None:
        return None
    known = search.latency.load(store.artifact(search.latency))
    runtime, threads = Serving.of_files(search.latency.runtime)
    export = recipe.served or Export(network=recipe.result, task=recipe.task)
    with TemporaryDirectory() as folder:
        file = store.artifact(export) / export.file
        (measured,) = beside_reference(runtime, [file], recipe.task.size, threads, folder=Path(folder))
    here = Machine.here()
    # of a run that was moved, this machine's own
    reference_ms = known.reference_ms if here == known.machine else measured.reference_ms
    return DeliveredLatency(
        asked_ms=asked,
        predicted_ms=picked.settled(store.artifact(picked)).predicted_ms,
        measured_ms=measured.ratio * reference_ms,
        ratio=measured.ratio,
        runtime=runtime.version(),
        threads=threads,
        machine=here,
        busy=measured.waiting > BUSY,
        model=known.text,
    )


def copy_export(store: Store, export: Export, target: Path) -> None:
    """Copy the file of a finished export, and what belongs beside it, to the place that `target` names, with the
    suffix of its format."""
    source = store.artifact(export) / export.file
    copied = target.with_name(f"{target.name}{source.suffix}")
    pairs = [(source, copied), (beside(source), beside(copied))]
    pairs += [(source.with_suffix(end), copied.with_suffix(end)) for end in runtime_named(export.runtime).beside]
    for own, copy in pairs:
        if own.exists():  # exports of earlier versions have no card
            with replacing(copy) as part:
                shutil.copyfile(own, part)
