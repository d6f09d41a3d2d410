"""Scoring a search's candidates as the search stage does it: candidates a minute, shares of the time, racing.

Random pairs and untrained weights, whose times are those of trained ones; what a race saves depends on how much the
candidates differ, so that its row only shows that it works.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable

import measure
import numpy as np
import torch

from pocketgan.data.cache import Examples, Images
from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.metrics.catalog import FRECHET
from pocketgan.metrics.evaluate import Evaluator
from pocketgan.metrics.resident import sources_on
from pocketgan.networks import ResnetSpec, init_normal
from pocketgan.pretrained.mobilenet_v2 import MobileNetV2
from pocketgan.runtime import device_named, synchronise
from pocketgan.search import Race, Racer

#: name: space, side, images
SETTINGS = {
    "cpu": {"demo": ("24_16_12_8", 96, 20), "256 pixels": ("32_24_16_8", 256, 20)},
    "cuda": {"demo": ("24_16_12_8", 96, 20), "256 pixels": ("64_56_48_40_32_24_16", 256, 100)},
}
RACED = 12  # candidates


def pairs(images: int, side: int) -> Examples:
    """Random pairs."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, images, side, side, 3)).astype(np.uint8)
    names = [str(i) for i in range(images)]
    return Examples(Images(names, pixels[0]), Images(names, pixels[1]))


@torch.inference_mode()
def rows_of(name: str, space_name: str, side: int, images: int, device: torch.device, turns: int) -> list[dict]:
    space = space_named(space_name, ResnetSpec.uniform(1).mobile)
    supernet = init_normal(Supernet(space.spec), torch.Generator().manual_seed(0)).eval().to(device)
    examples, draws = pairs(images, side), random.Random(0)
    evaluator = Evaluator(sources_on(device, examples), metrics=(FRECHET,), device=device)
    batches = [batch.x for batch in sources_on(device, examples)]
    features = MobileNetV2.load().to(device)
    spec = space.subspec(space.sample(draws))
    made = [supernet(x, spec) for x in batches]

    def ending(call: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            call()
            synchronise(device)

        return run

    def extracted() -> None:
        network = supernet.extract(spec)
        for x in batches:
            network(x)

    times = measure.in_turns(
        {
            "candidate": ending(lambda: evaluator.scores([lambda x: supernet(x, spec)])),
            "generator in the supernet": ending(lambda: [supernet(x, spec) for x in batches]),
            "generator extracted": ending(extracted),
            "feature network": ending(lambda: [features(y) for y in made]),
        },
        turns,
    )
    forwards = times["generator in the supernet"].median + times["feature network"].median
    whole = times["candidate"]
    rows = [
        {
            "setting": name,
            "what": what,
            "median_s": measure.figure(own.median),
            "share": measure.figure(1 / own.speedup_over(whole)),
            "candidates_per_minute": measure.figure(60 / own.median) if own is whole else None,
            "in_forwards": measure.figure(min(1.0, forwards / own.median)) if own is whole else None,
        }
        for what, own in times.items()
    ]
    return [*rows, {"setting": name, "what": "race", **raced(space, supernet, examples, device)}]


def raced(space, supernet, examples: Examples, device: torch.device) -> dict:
    """Image-forwards of a race as a share of those of a whole search, and whether both have the same winner."""
    race, count, draws = Race(), len(examples.sources), random.Random(1)
    order = np.random.default_rng(race.seed).permutation(count)
    ends = [round(share * count) for share in race.looks]
    evaluator = Evaluator(sources_on(device, examples, order, ends), metrics=(FRECHET,), device=device)
    seen = 0

    def growing(genome):
        def generate(x):
            nonlocal seen
            seen += len(x)
            return supernet(x, space.subspec(genome))

        return evaluator.growing(generate, FRECHET)

    genomes = [space.sample(draws) for _ in range(RACED)]
    racer = Racer(race, growing, objective=FRECHET, better="lower")
    scores: list[float] = []
    for genome in genomes:
        racer.follow((one, own) for one, own in zip(genomes, scores, strict=False) if one not in racer.stopped)
        scores += [racer([genome])[0][FRECHET]]
    whole = [[*growing(genome)][-1].value for genome in genomes]
    share = (seen - count * RACED) / (count * RACED)
    best = min(range(RACED), key=lambda i: (genomes[i] in racer.stopped, scores[i]))
    return {"share": measure.figure(share), "same_winner": bool(whole[best] == min(whole))}


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where (default cpu)")
    chosen = measure.options(__doc__, turns=5, threads=1, own=own)
    device = device_named(chosen.device)
    settings = {"quick": ("24_16_12_8", 16, 8)} if chosen.quick else SETTINGS[chosen.device]
    rows = [row for name, each in settings.items() for row in rows_of(name, *each, device, chosen.turns)]
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    measure.report(
        "search", chosen, rows, device=where, settings={name: list(each) for name, each in settings.items()}
    )


if __name__ == "__main__":
    main()
