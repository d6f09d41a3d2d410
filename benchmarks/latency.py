"""Budgets in milliseconds: what the network that a latency model finds takes, against what was asked.

The search space is that of a ResNet with separable blocks, untrained, since the latency does not depend on what a
network has learnt; the most MACs stand for the best score. Three budgets a runtime, between its smallest and its
largest subnet: a random search within the budget, the best ones measured as `compress` does, the first that is
really within it delivered, exported for images of any size as it is shipped, and measured once more. All times are
ratios to a reference measured in the same turns, times what that takes on the quiet machine; aim: within 10 % of
what was asked. A runtime that is not installed is left out, and named.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import measure
import numpy as np

from pocketgan.deploy.latency import beside_reference
from pocketgan.deploy.runtimes import Serving
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import Genome, ResnetSpec
from pocketgan.pipeline.latency_model import MeasuredLatency, ModelLatency
from pocketgan.pipeline.settle import settled
from pocketgan.pipeline.store import Store
from pocketgan.runtime import Runtime
from pocketgan.search import Random, search

RUNTIMES = ("onnxruntime:1", "openvino:1")
#: the budgets: where they stand between the smallest subnet's time and the largest one's
SHARES = (0.2, 0.4, 0.7)
CANDIDATES = 200


def found(
    space: SearchSpace, costs: CostModel, budget: Budget, candidates: int, folder: Path
) -> tuple[Sequence[Genome], dict[Genome, float]]:
    """Subnets within a budget, those of the most MACs first, and what is predicted of them."""

    def score(genomes: Sequence[Genome]) -> list[dict[str, float]]:
        return [{"macs": float(macs)} for macs in costs.of(space, np.array(genomes)).true_macs]

    result = search(
        space,
        costs,
        budget,
        Random(candidates=candidates),
        score,
        objective="macs",
        better="higher",
        seed=0,
        storage=folder / "search.log",
        batch=candidates,
    )
    genomes = [one.genome for one in sorted(result.candidates, key=result.loss)]
    predicted = costs.of(space, np.array(genomes)).latency_ms
    assert predicted is not None, "there is a latency model"
    return genomes, dict(zip(genomes, predicted.tolist(), strict=True))


def row(stage: ModelLatency, known: MeasuredLatency, share: float, candidates: int, turns: int) -> dict[str, Any]:
    space = stage.space
    runtime, threads = Serving.of_files(stage.runtime)
    costs = CostModel(space.spec, *stage.size, timing=known.model)
    low, high = costs.of(space, np.array([space.smallest, space.largest])).latency_ms
    asked = float(low + share * (high - low))
    with TemporaryDirectory() as place:
        folder = Path(place)
        budget = Budget(latency_ms=asked, runtime=stage.runtime)
        genomes, predicted = found(space, costs, budget, candidates, folder)
        chosen = settled(
            genomes,
            predicted,
            asked,
            lambda some: [known.ms(each) for each in stage.timed(some, folder, fixed=False)],
        )
        file = folder / f"delivered{runtime.suffix}"
        assert runtime.export is not None, "the runtime has files"
        runtime.export(space.subspec(chosen.genome).build().eval(), stage.size, file)
        (last,) = beside_reference(
            runtime, [file], stage.size, threads, folder=folder, repeats=turns, budget_s=60.0
        )
    measured = last.ratio * known.reference_ms
    return {
        "runtime": stage.runtime,
        "asked_ms": measure.figure(asked),
        "predicted_ms": measure.figure(chosen.predicted_ms),
        "measured_ms": measure.figure(measured),
        "measured_to_asked": measure.figure(measured / asked),
        "within_10_percent": abs(measured / asked - 1) <= 0.1,
        "ratio_to_reference": measure.figure(last.ratio),
        "reference_ms": measure.figure(last.reference_ms),
        "subnets_measured": chosen.measured,
        "model_off_by": measure.figure(chosen.factor),
        "waiting": measure.figure(last.waiting),
        "subnet": space.text(chosen.genome),
    }


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--runtimes", nargs="+", default=RUNTIMES, help="with their threads, as openvino:2")
    own.add_argument(
        "--points", type=int, default=24, help="subnets that a latency model is fitted to (default 24)"
    )
    own.add_argument("--work", type=Path, help="keep what is measured here, to go on later")
    chosen = measure.options(__doc__, turns=30, threads=1, own=own)
    here = [text for text in chosen.runtimes if Serving.of(text).runtime.installed]
    absent = sorted(set(chosen.runtimes) - set(here))
    if chosen.quick:
        here, space = here[:1], space_named("4_2", ResnetSpec.uniform(4, blocks=1).mobile)
    else:
        space = space_named("32_24_16_8", ResnetSpec.uniform(32).mobile)
    rows, models = [], {}
    with TemporaryDirectory() as place:
        store = Store(chosen.work or Path(place))
        for text in here:
            size, points = ((32, 32), 4) if chosen.quick else ((256, 256), chosen.points)
            stage = ModelLatency(space=space, size=size, runtime=text, points=points)
            known = stage.load(store.realise(stage, Runtime(device="cpu")))
            models[text] = {
                "runtime": known.runtime,
                "points": len(known.points),
                "error": measure.figure(known.model.error),
                "worst": measure.figure(known.model.worst),
                "reference_ms": measure.figure(known.reference_ms),
                "busy": known.busy,
            }
            for share in SHARES[:1] if chosen.quick else SHARES:
                kept = store.home(stage) / f"row-{share}.json"
                if not kept.exists():
                    made = row(stage, known, share, 16 if chosen.quick else CANDIDATES, chosen.turns)
                    kept.write_text(json.dumps(made))
                rows.append(json.loads(kept.read_text()))
    measure.report("latency", chosen, rows, space=space.name, models=models, not_installed=absent)


if __name__ == "__main__":
    main()
