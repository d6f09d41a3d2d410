"""Uniform against sandwich sampling of a supernet: do inherited scores rank subnets as stand-alone training does?

One teacher; a supernet trained with each way of sampling for the same processor time; twelve subnets from the
largest to the smallest, each scored as it is inherited from either supernet and as trained alone. Resumable: every
finished training is kept in --work and taken from there.
"""

from __future__ import annotations

import argparse
import random
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import measure
import numpy as np
import torch

from pocketgan.data.batches import evaluation_batches, training_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.task import Task, open_task
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.sampling import AnySampling, SandwichSampling, UniformSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import Adaptors
from pocketgan.metrics import Evaluator
from pocketgan.models import load_model, save_model
from pocketgan.networks import Generator, Genome, PatchSpec, ResnetSpec, init_normal
from pocketgan.objectives.base import Objective
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings

DATA = measure.ROOT / "examples" / "nuclei" / "stained"
SAMPLINGS: dict[str, AnySampling] = {"uniform": UniformSampling(), "sandwich": SandwichSampling(random=2)}
SUBNETS = 12
BATCH = 4


class Plan:
    """Sizes and processor seconds of one benchmark."""

    def __init__(self, quick: bool, seed: int, scale: float) -> None:
        self.seed = seed
        self.size = 32 if quick else 64
        self.teacher = ResnetSpec.uniform(4 if quick else 24)
        self.judge = PatchSpec(width=4 if quick else 32)
        self.options = "4_2" if quick else "24_16_12_8"
        seconds = (0.3, 0.3, 0.3) if quick else (240, 600, 120)
        self.seconds = dict(zip(("teacher", "supernet", "alone"), (s * scale for s in seconds), strict=True))
        self.subnets = 2 if quick else SUBNETS

    @property
    def task(self) -> Task:
        return open_task(DATA, size=self.size, channels=(3, 3))

    @property
    def space(self) -> SearchSpace:
        return space_named(self.options, self.teacher.mobile)

    def genomes(self) -> list[Genome]:
        """From the largest to the smallest, at even steps of the logarithm of their MACs."""
        space, rng = self.space, random.Random(self.seed)
        drawn = [space.largest, space.smallest, *(space.sample(rng) for _ in range(2000))]
        macs = np.log(CostModel(space.spec, self.size)(np.array([space.widths(g) for g in drawn])).macs)
        wanted = np.linspace(macs[0], macs[1], self.subnets)
        chosen = [drawn[0], *(drawn[int(np.abs(macs - w).argmin())] for w in wanted[1:-1]), drawn[1]]
        return list(dict.fromkeys(chosen))


def train(objective: Objective, plan: Plan, seconds: float, work: Path) -> int:
    """Steps until the processor time is up; the learning rate is constant for its first half, then falls to 0."""
    torch.set_num_threads(1)
    task = plan.task
    examples = load_examples(task, "train", work / "cache", training=True)
    start, steps = time.process_time(), 0
    for epoch in count():
        batches = training_batches(
            examples, batch_size=BATCH, size=task.size, flip=True, seed=plan.seed, epoch=epoch
        )
        for batch in batches:
            spent = (time.process_time() - start) / seconds
            if spent >= 1:
                return steps
            objective.set_lr_factor(min(1.0, 2 * (1 - spent)))
            objective.step(batch.on(torch.device("cpu")), random.Random(steps))
            steps += 1
    raise AssertionError("epochs never end")


def fresh(network: Any, seed: int) -> Any:
    return init_normal(network, torch.Generator().manual_seed(seed))


def finished(folder: Path) -> bool:
    return (folder / "model.json").exists()


def train_teacher(plan: Plan, work: Path) -> None:
    game = Pix2Pix(Pix2PixSettings(), fresh(plan.teacher.build(), plan.seed), fresh(plan.judge.build(), plan.seed))
    steps = train(game, plan, plan.seconds["teacher"], work)
    save_model(work / "teacher", game.generator, {"steps": steps})


def train_student(
    plan: Plan, work: Path, name: str, seconds: float, spec: ResnetSpec, sampling: str | None
) -> None:
    """A supernet where there is a sampling, else a plain network."""
    torch.manual_seed(plan.seed)
    teacher = load_model(work / "teacher").network
    student = fresh(Supernet(spec) if sampling else spec.build(), plan.seed)
    channels = {tap: (spec.tap_channels(tap), plan.teacher.tap_channels(tap)) for tap in spec.taps}
    settings = DistilSettings(sampling=SAMPLINGS[sampling] if sampling else UniformSampling())
    adaptors, judge = fresh(Adaptors(channels), plan.seed), fresh(plan.judge.build(), plan.seed)
    game = Distiller(settings, teacher, student, adaptors, judge, plan.space if sampling else None)
    steps = train(game, plan, seconds, work)
    save_model(work / name, game.products["model"], {"steps": steps})


def score(plan: Plan, work: Path, network: Generator, evaluator: Evaluator) -> dict[str, float]:
    return evaluator(network.eval()).scores


def kendall(a: list[float], b: list[float]) -> float:
    """Kendall's tau: pairs in the same order less pairs in the other, over all pairs."""
    pairs = [(i, j) for i in range(len(a)) for j in range(i)]
    return sum(float(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j])) for i, j in pairs) / len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--work", type=Path, default=measure.ROOT / "runs" / "sampling")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="of all processor seconds")
    parser.add_argument("--processes", type=int, default=2)
    chosen = measure.options(__doc__, turns=1, threads=1, own=parser)
    plan = Plan(chosen.quick, chosen.seed, chosen.scale)
    with TemporaryDirectory() as brief:
        compare(plan, (Path(brief) if chosen.quick else chosen.work) / f"seed{plan.seed}", chosen)


def compare(plan: Plan, work: Path, chosen: argparse.Namespace) -> None:
    """Train what is not trained yet, score all, report."""
    genomes, space = plan.genomes(), plan.space
    load_examples(plan.task, "train", work / "cache", training=True)

    if not finished(work / "teacher"):
        train_teacher(plan, work)
    alone = {f"alone-{i}": space.spec.resized(space.widths(genome)) for i, genome in enumerate(genomes)}
    jobs: list[tuple[Any, ...]] = [
        *((plan, work, name, plan.seconds["supernet"], space.spec, name) for name in SAMPLINGS),
        *((plan, work, name, plan.seconds["alone"], spec, None) for name, spec in alone.items()),
    ]
    jobs = [job for job in jobs if not finished(work / job[2])]
    if chosen.quick:  # processes take longer to start than these trainings
        for job in jobs:
            train_student(*job)
    else:
        with ProcessPoolExecutor(chosen.processes, get_context("spawn")) as pool:
            for done in [pool.submit(train_student, *job) for job in jobs]:
                done.result()

    examples = load_examples(plan.task, ("select", "test"), work / "cache", training=False)
    evaluator = Evaluator(list(evaluation_batches(examples, 16)), metrics=("l1", "fd_mobilenet_v2"))
    supernets = {}
    for name in SAMPLINGS:
        supernets[name] = Supernet(space.spec)
        supernets[name].network = load_model(work / name).network
    rows, scores = [], {}
    for i, genome in enumerate(genomes):
        contestants = {name: net.extract(space.widths(genome)) for name, net in supernets.items()}
        contestants["alone"] = load_model(work / f"alone-{i}").network
        found = {name: score(plan, work, network, evaluator) for name, network in contestants.items()}
        scores[i] = found
        macs = CostModel(space.spec, plan.size).one(space.widths(genome))["macs"]
        figures = {f"{m}_{name}": measure.figure(s[m]) for name, s in found.items() for m in s}
        rows.append({"genome": "_".join(map(str, genome)), "mmacs": measure.figure(macs / 1e6), **figures})
    facts: dict[str, Any] = {}
    for name in SAMPLINGS:
        for metric in ("l1", "fd_mobilenet_v2"):
            own, other = ([scores[i][who][metric] for i in scores] for who in (name, "alone"))
            facts[f"kendall_tau_{metric}_{name}"] = measure.figure(kendall(own, other))
            facts[f"smallest_over_alone_{metric}_{name}"] = measure.figure(own[-1] / other[-1])
    steps = {name: load_model(work / name).card["steps"] for name in ("teacher", *SAMPLINGS, "alone-0")}
    measure.report(
        "sampling",
        chosen,
        rows,
        **facts,
        seed=plan.seed,
        processor_seconds=plan.seconds,
        steps=steps,
        held_out_images=len(examples),
        size=plan.size,
        options=plan.options,
    )


if __name__ == "__main__":
    main()
