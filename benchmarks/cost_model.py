"""Costing a million genomes by arithmetic, against building and counting candidates one by one.

The space is channels-64-pix2pix at 256 pixels; aim: under 5 seconds on one core. For orientation, the official code
needs 0.2 to 0.5 CPU seconds a candidate.
"""

# numpy reads this once, when it is loaded
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import measure
import numpy as np
import torch

from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.dimensions import dimensions
from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import NetworkSpec, ResnetSpec

SIZE = 256
AIM_S = 5.0


def build(spec: NetworkSpec) -> CostModel:
    """As in a new process: nothing that the package remembers may help."""
    skeleton.cache_clear()
    dimensions.cache_clear()
    return CostModel(spec, SIZE)


def count(spec: NetworkSpec) -> int:
    """True MACs of one candidate: the network on the meta device, and torch's own counter."""
    with torch.device("meta"):
        network, image = spec.build().eval(), torch.empty(1, 3, SIZE, SIZE)
    with torch.no_grad():
        return measure.macs(lambda: network(image))


def main() -> None:
    chosen = measure.options(__doc__, turns=7, threads=1)
    genomes_costed, candidates = (1_000, 2) if chosen.quick else (1_000_000, 20)
    space = space_named("channels-64-pix2pix", ResnetSpec.uniform(1).mobile)
    model = build(space.spec)
    indices = np.random.default_rng(0).integers(space.size, size=genomes_costed)
    genomes = space.genomes(indices)
    specs = [space.spec.resized(space.widths(tuple(genome))) for genome in genomes[:candidates].tolist()]

    counted = [count(spec) for spec in specs]
    assert counted == model(space.all_widths(genomes[:candidates])).true_macs.tolist()

    times = measure.in_turns(
        {
            "build": lambda: build(space.spec),
            "call": lambda: model(space.all_widths(genomes)),
            "counting": lambda: [count(spec) for spec in specs],
        },
        chosen.turns,
    )
    each = times["counting"].median / candidates
    ours = times["build"].median + times["call"].median
    rows = [
        {
            "what": "build the cost model",
            "seconds": times["build"].median,
            "cpu_seconds": times["build"].cpu_median,
        },
        {
            "what": f"cost {genomes_costed:,} genomes",
            "seconds": times["call"].median,
            "cpu_seconds": times["call"].cpu_median,
            "per_candidate_s": times["call"].median / genomes_costed,
        },
        {"what": "both", "seconds": ours, "per_candidate_s": ours / genomes_costed},
        {
            "what": f"build and count {candidates} candidates",
            "seconds": times["counting"].median,
            "cpu_seconds": times["counting"].cpu_median,
            "per_candidate_s": each,
        },
    ]
    measure.report(
        "cost_model",
        chosen,
        [{k: v if k == "what" else measure.figure(v) for k, v in row.items()} for row in rows],
        space=space.name,
        size=SIZE,
        aim_seconds=AIM_S,
        speedup_per_candidate=measure.figure(each * genomes_costed / ours),
        official_cpu_seconds_per_candidate="0.2 to 0.5",
    )


if __name__ == "__main__":
    main()
