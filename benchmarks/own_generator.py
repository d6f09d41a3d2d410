"""Generators of others (`tests/tracing/zoo.py`) at a share of their MACs: in-place distillation, Fast GAN
Compression, and the narrowed generator from scratch, at equal processor time, on pairs of images.

    python benchmarks/own_generator.py examples/nuclei/stained --generator CUT --width 32 --seconds 40 --seeds 2
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import measure
import torch

from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.elastic.spaces import space_named
from pocketgan.methods.in_place import MARGIN
from pocketgan.networks.traced import TracedSpec
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.training import Train
from pocketgan.recipes.games import PAIRS
from pocketgan.recipes.imitation import widest
from pocketgan.runtime import Runtime
from pocketgan.studies.in_place import FASTER, SEARCH, SUPERNET, TUNING
from pocketgan.studies.methods import SEARCH as EVOLUTION
from pocketgan.studies.run import run_study
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study
from pocketgan.tracing.generator import spec_of

sys.path.insert(0, str(measure.ROOT))
from tests.tracing.zoo import ZOO

#: shares of the generator's MACs
BUDGETS = {"30 %": 0.3, "15 %": 0.15}
FAST = "Fast GAN Compression"


class Own(Setting):
    """A setting whose teacher is this generator."""

    generator: TracedSpec

    @property
    def dense(self) -> Any:
        return self.generator


def points(setting: Setting) -> list[Point]:
    macs, found = cost(setting.dense, *setting.task.size)["macs"], list[Point]()
    teacher = setting.training(Train, 0.36, "teacher", generator=setting.dense)
    fast = setting.training(Distil, 0.38, "supernet", teacher=teacher, space=space_named("quarter", setting.dense))
    for place, share in BUDGETS.items():
        budget = Budget(macs=round(share * macs))
        narrow = widest(setting.dense, budget, setting.task)
        alone: dict[str, Any] = dict(pace=f"scratch of {place}", generator=narrow)
        half = setting.training(
            InPlaceTraining, SUPERNET, f"in-place supernet of {place}", space=space_named("half", narrow)
        )
        subnet, best = (
            Pick(search=Search(supernet=each, budget=budget, strategy=strategy, seed=setting.seed), margin=margin)
            for each, strategy, margin in ((half, SEARCH, MARGIN), (fast, EVOLUTION, 0.0))
        )
        found += [
            Point("from scratch", place, setting.training(Train, 1.0, **alone)),
            Point(
                FASTER,
                place,
                setting.training(Train, 1.0, **alone, objective=Pix2PixSettings(lr=InPlaceSettings().lr)),
            ),
            Point(
                FAST,
                place,
                setting.training(Distil, 0.16, "distillation", teacher=teacher, init=best, inherited=fast),
            ),
            Point(
                "in-place",
                place,
                setting.training(InPlaceTraining, TUNING, f"in-place of {place}", init=subnet, inherited=half),
            ),
        ]
    return found


OWN_GENERATOR = Study(
    name="own-generator",
    about="Which method makes the best small form of a generator of somebody else? All have the same processor "
    "time, teachers and searches included. Budgets are shares of the generator's MACs.",
    source="our own question",
    data=PAIRS,
    points=points,
    claims=tuple(Claim(better="in-place", worse=worse) for worse in ("from scratch", FASTER, FAST)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--generator", choices=sorted(ZOO), default="CUT")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--direction", choices=("AtoB", "BtoA"), default="AtoB")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    task = open_task(asked.data, direction=asked.direction, size=asked.size, channels=(3, 3))
    torch.manual_seed(0)  # the law of its first weights is a part of the generator
    module = ZOO[asked.generator](width=asked.width)
    setting = Own(task=task, seconds=asked.seconds, generator=spec_of(module, 3, (asked.size, asked.size)))
    command = f"python benchmarks/own_generator.py {' '.join(sys.argv[1:])}"
    runtime = Runtime(device="cpu")
    run_study(OWN_GENERATOR, setting, asked.out, range(asked.seeds), runtime, command, print)
    print((asked.out / "study.md").read_text())


if __name__ == "__main__":
    main()
