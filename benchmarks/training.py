"""Training throughput of every stage, against steps as they are usually written.

Teacher (pix2pix), distillation and supernet steps, ours in float32 and bf16 and the reference in float32, in turns
and from equal weights; the losses of the first steps must agree. The supernet's calls run one step at each of
several genomes, the same for all contestants.

On a GPU (`--device cuda`) ours alone, of the size of the papers and for several batches; there every step of a
supernet is at a new genome, as in training, for a new shape costs time of its own.
"""

from __future__ import annotations

import argparse
import copy
import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import measure
import reference
import torch
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import PatchSpec, ResnetSpec, init_normal
from pocketgan.objectives.base import Losses, Objective
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.objectives.precision import Precision
from pocketgan.runtime import device_named

BATCH = 4
STAGES = ("teacher", "distillation", "supernet")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
DRAWS = 8  # genomes a call of the supernet

#: images a second of the official code in float32, 2 threads, batch 4, widths as here, on a like machine
OFFICIAL = {
    ("teacher", 64): 15.6,
    ("teacher", 128): 4.9,
    ("distillation", 64): 19.1,
    ("distillation", 128): 6.3,
    ("supernet", 64): 18.8,
    ("supernet", 128): 6.0,
}


class Networks:
    """The players of one stage before their first step; everybody trains copies of them."""

    def __init__(self, stage: str, width: int, judge_width: int, options: tuple[int, ...]) -> None:
        def fresh(network: nn.Module) -> nn.Module:
            return init_normal(network, torch.Generator().manual_seed(0))

        teacher = ResnetSpec.uniform(width)
        student = ResnetSpec.uniform(max(options), separable=("residual",))
        channels = {tap: (student.tap_channels(tap), teacher.tap_channels(tap)) for tap in student.taps}
        self.stage, self.width, self.judge_width, self.widest = stage, width, judge_width, max(options)
        self.space = uniform_space(student, options) if stage == "supernet" else None
        self.teacher = fresh(teacher.build())
        self.judge = fresh(PatchSpec(width=judge_width).build())
        self.student = fresh(Supernet(student) if self.space else student.build())
        self.adaptors = fresh(Adaptors(channels))

    def ours(self) -> Objective:
        own = copy.deepcopy(self)
        if self.stage == "teacher":
            return Pix2Pix(Pix2PixSettings(), own.teacher, own.judge)
        return Distiller(DistilSettings(), own.teacher, own.student, own.adaptors, own.judge, own.space)

    def theirs(self) -> reference.Teaching | reference.Distilling:
        take = reference.take_weights
        teacher = take(reference.Generator(self.width, mobile=False), self.teacher)
        judge = take(reference.discriminator(self.judge_width), self.judge)
        if self.stage == "teacher":
            return reference.Teaching(teacher, judge)
        student = reference.SlicedGenerator(self.widest) if self.space else reference.Generator(self.widest, True)
        adaptors = nn.ModuleList(nn.Conv2d(4 * self.widest, 4 * self.width, 1) for _ in reference.TAPS)
        return reference.Distilling(teacher, take(student, self.student), take(adaptors, self.adaptors), judge)


Step = Callable[[Batch, int], Losses]


def our_step(networks: Networks, precision: Precision, device: torch.device = measure.CPU) -> Step:
    """(batch, number of the draw) -> losses, called as the training loop does."""
    game = networks.ours()
    game.setup(device, precision)
    return lambda batch, draw: game.step(batch, random.Random(draw))


def reference_step(networks: Networks) -> Step:
    game, space = networks.theirs(), networks.space
    if space is None:
        return lambda batch, draw: game.step(batch.x, batch.y)
    return lambda batch, draw: game.step(batch.x, batch.y, space.widths(space.sample(random.Random(draw))))


def noise(size: int, batch: int = BATCH) -> Batch:
    x, y = torch.rand(2, batch, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(x, y, ("",) * batch)


def check_equal(ours: Step, theirs: Step, batch: Batch) -> None:
    """The same losses from equal weights, and nearly so after one update (Adam's first one is +-lr even for
    gradients that are all rounding noise)."""
    for tolerance in (1e-4, 1e-2):
        got, want = ours(batch, 0), theirs(batch, 0)
        assert got.keys() == want.keys()
        for name, loss in want.items():
            difference = abs(got[name].item() - loss.item())
            assert difference <= tolerance * max(1.0, abs(loss.item())), (name, got[name], loss)


def stage_rows(
    networks: Networks, size: int, turns: int, peaks: dict[str, float], draws: int
) -> list[dict[str, Any]]:
    batch = noise(size)
    steps = {f"ours {precision}": our_step(networks, precision) for precision in PRECISIONS}
    steps["reference fp32"] = reference_step(networks)
    check_equal(steps["ours fp32"], steps["reference fp32"], batch)
    draws = draws if networks.space else 1

    def call(step: Step) -> None:
        for draw in range(draws):
            step(batch, draw)

    macs = {name: measure.macs(lambda step=step: call(step)) / draws for name, step in steps.items()}
    times = measure.in_turns({name: lambda step=step: call(step) for name, step in steps.items()}, turns)
    return [
        {
            "stage": networks.stage,
            "size": size,
            "contestant": name,
            "median_ms": measure.figure(own.median / draws * 1e3),
            "quartiles_ms": [measure.figure(t / draws * 1e3) for t in own.quartiles],
            "images_per_second": measure.figure(BATCH * draws / own.median),
            "speedup_over_reference": measure.figure(own.speedup_over(times["reference fp32"])),
            "gmacs": measure.figure(macs[name] / 1e9),
            "share_of_peak": measure.figure(macs[name] * draws / own.median / peaks[name.split()[1]]),
            "official_images_per_second": OFFICIAL.get((networks.stage, size)),
        }
        for name, own in times.items()
    ]


def rows_on(device: torch.device, chosen: argparse.Namespace, peaks: dict[str, float]) -> list[dict[str, Any]]:
    """Ours alone on a device, by batch and precision."""
    size, shape, draws = (32, (4, 4, (4, 2)), 2) if chosen.quick else (256, (64, 128, (64, 48, 32, 24, 16)), DRAWS)
    rows = []
    for stage in STAGES:
        networks = Networks(stage, *shape)
        for batch_size in chosen.batch or (4, 16):
            for precision in chosen.precision or PRECISIONS:
                batch, numbers = noise(size, batch_size).on(device), count()
                step = our_step(networks, precision, device)

                def call(step: Step = step, batch: Batch = batch, numbers: Iterator[int] = numbers) -> None:
                    for _ in range(draws):
                        step(batch, next(numbers))

                macs = measure.macs(call) / draws  # of the first genomes; the others cost about as much
                (times,) = measure.in_turns({"ours": call}, chosen.turns, device=device).values()
                rows.append(
                    {
                        "stage": stage,
                        "size": size,
                        "batch": batch_size,
                        "precision": precision,
                        "median_ms": measure.figure(times.median / draws * 1e3),
                        "images_per_second": measure.figure(batch_size * draws / times.median),
                        "gmacs": measure.figure(macs / 1e9),
                        "share_of_peak": measure.figure(macs * draws / times.median / peaks[precision]),
                    }
                )
    return rows


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    own.add_argument(
        "--batch", type=int, action="append", help="images a step; may be repeated; ours alone is measured then"
    )
    own.add_argument(
        "--precision", choices=PRECISIONS, action="append", help="may be repeated; ours alone is measured then"
    )
    chosen = measure.options(__doc__, turns=9, threads=2, own=own)
    device = device_named(chosen.device)
    if device.type != "cpu" or chosen.batch or chosen.precision:
        peaks = {name: measure.conv_peak(name, chosen.quick, device) for name in PRECISIONS}
        rate = {name: measure.figure(peak / 1e9) for name, peak in peaks.items()}
        measure.report(
            "training", chosen, rows_on(device, chosen, peaks), peak_gmacs_per_second=rate, device=str(device)
        )
        return
    sizes, shape, draws = (
        ((32,), (4, 4, (4, 2)), 2) if chosen.quick else ((64, 128), (32, 64, (32, 24, 16, 8)), DRAWS)
    )
    peaks = {precision: measure.conv_peak(precision, chosen.quick) for precision in PRECISIONS}
    rows = []
    for size in sizes:
        for stage in STAGES:
            rows += stage_rows(Networks(stage, *shape), size, chosen.turns, peaks, draws)
    measure.report(
        "training",
        chosen,
        rows,
        peak_gmacs_per_second={name: measure.figure(peak / 1e9) for name, peak in peaks.items()},
        batch=BATCH,
        teacher_width=shape[0],
        discriminator_width=shape[1],
        student_options=list(shape[2]),
    )


if __name__ == "__main__":
    main()
