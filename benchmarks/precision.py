"""Does training in bf16 cost quality? pix2pix on the bundled nuclei, fp32 against bf16, same seeds and same order.

Two trainings that differ by rounding alone drift apart, so fp32 also plays against itself: `shaken` starts from
weights each of which is moved by about one rounding of bf16. What bf16 does beyond that is its cost. Besides, for
one and the same network, how far the gradients of a step are from those of fp32. Resumable (`--work`).
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import measure
import numpy as np
import torch
from emulation import Emulated, emulates
from scipy import stats
from torch import Tensor, nn

from pocketgan.data.batches import Batch, evaluation_batches, steps_per_epoch, training_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.task import Task, open_task
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.losses.pixel import pixel_loss
from pocketgan.metrics.pairs import l1, psnr
from pocketgan.models import load_model
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.networks.layers import ConvLayer, InstanceNorm
from pocketgan.objectives.base import Objective
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.training import Train
from pocketgan.runtime import Runtime
from pocketgan.training.schedule import Schedule

DATA = measure.ROOT / "examples" / "nuclei" / "stained"
PRECISIONS: dict[str, Any] = {"fp32": "fp32", "bf16": "bf16"}
#: half of the distance of two neighbours in bf16, relative to the larger numbers of a power of two
ROUNDING = 2.0**-9
STRETCHES = 4
BATCH = 4
BATCHES = 3  # of the gradients

#: generator and discriminator
Networks = tuple[nn.Module, ...]


class Training(Train):
    """A training from `shaken` weights."""

    kind: Literal["train"] = "train"
    shake: float = 0.0

    def build(self) -> Objective:
        game = super().build()
        shaken(game.players.values(), self.shake, self._random("shake"))
        return game


@torch.no_grad()
def shaken(networks: Networks, shake: float, generator: torch.Generator) -> Networks:
    """The same networks, each weight multiplied by 1 + `shake` times a standard normal number."""
    for network in networks:
        for weight in network.parameters():
            weight.mul_(1 + shake * torch.randn(weight.shape, generator=generator))
    return networks


# -- whole trainings -----------------------------------------------------------------------------------------------

#: figures by contestant and seed
Scores = dict[tuple[str, int], dict[str, float]]


def contestants(chosen: argparse.Namespace, task: Task) -> dict[tuple[str, int], Training]:
    """By name and seed."""
    epochs = max(2, round(chosen.steps * BATCH / task.epoch()))
    constant = max(1, round(0.4 * epochs))

    def one(seed: int, precision: str, shake: float = 0.0) -> Training:
        return Training(
            task=task,
            generator=ResnetSpec.uniform(chosen.width),
            discriminator=PatchSpec(width=2 * chosen.width),
            schedule=Schedule(constant=constant, decay=epochs - constant, batch_size=BATCH),
            seed=seed,
            precision=PRECISIONS[precision],
            shake=shake,
        )

    found = {(name, seed): one(seed, name) for seed in range(chosen.seeds) for name in PRECISIONS}
    if not chosen.unshaken:
        found |= {("fp32 shaken", seed): one(seed, "fp32", ROUNDING) for seed in range(chosen.seeds)}
    return found


def figures(store: Store, stage: Training) -> dict[str, float]:
    """The mean pixel term of each stretch of a finished training, and scores of its images held out."""
    lines = (store.home(stage) / "log.jsonl").read_text().splitlines()
    terms = np.array([json.loads(line)["G_recon"] for line in lines])
    means = {f"pixel_term_{i}": float(part.mean()) for i, part in enumerate(np.array_split(terms, STRETCHES), 1)}
    held_out = load_examples(stage.task, ("select", "test"), store.cache, training=False)
    network = load_model(store.artifact(stage) / "model").network.eval()
    with torch.inference_mode():
        pairs = [(network(batch.x), batch.y) for batch in evaluation_batches(held_out, 16)]
    scores = {name: torch.cat([metric(*pair) for pair in pairs]) for name, metric in (("l1", l1), ("psnr", psnr))}
    return {**means, **{name: values.mean().item() for name, values in scores.items()}}


def differences(scores: Scores, name: str) -> dict[str, str]:
    """Of each figure: a contestant's less that of fp32, the mean over the seeds with Student's 95 % interval."""
    seeds = sorted({seed for _, seed in scores})
    row = {}
    for key in scores["fp32", seeds[0]]:
        paired = np.array([scores[name, seed][key] - scores["fp32", seed][key] for seed in seeds])
        row[key] = f"{paired.mean():+.3g}"
        if len(seeds) > 1:
            half = stats.t.ppf(0.975, len(seeds) - 1) * paired.std(ddof=1) / len(seeds) ** 0.5
            row[key] += f" ({paired.mean() - half:+.3g} to {paired.mean() + half:+.3g})"
    return row


# -- gradients of one step -----------------------------------------------------------------------------------------

Gradients = dict[str, Tensor]


def gradient_rows(store: Store, stage: Training, batches: list[Batch]) -> Iterator[dict[str, Any]]:
    """How far the gradients by the weights are from those of fp32, relative to these, by loss: means over batches.

    Of fresh networks and of those that `stage` left.
    """
    fresh = tuple(stage.build().players.values())
    left = tuple(load_model(store.artifact(stage) / name).network for name in ("model", "discriminator"))
    for networks, when in ((fresh, "before the first step"), (left, "after the last step")):
        near = shaken(copy.deepcopy(networks), ROUNDING, torch.Generator().manual_seed(0))
        exact = [gradients(networks, batch) for batch in batches]
        compared = {"bf16": [gradients(networks, batch, bf16=True) for batch in batches]}
        for part, modules in parts(*networks).items():
            with in_fp32(modules):
                compared[f"bf16, {part} in fp32"] = [gradients(networks, batch, bf16=True) for batch in batches]
        compared["fp32 shaken"] = [gradients(near, batch) for batch in batches]
        compared["fp32, another batch"] = exact[1:] + exact[:1]
        for name, others in compared.items():
            errors = {
                loss: np.mean(
                    [float((b[loss] - a[loss]).norm() / a[loss].norm()) for a, b in zip(exact, others, strict=True)]
                )
                for loss in exact[0]
            }
            row = {f"gradient_error_{loss}": measure.figure(error) for loss, error in errors.items()}
            yield {"contestant": name, "seed": when, **row}


def parts(generator: nn.Module, discriminator: nn.Module) -> dict[str, list[nn.Module]]:
    """What may compute in fp32 while the rest computes in bf16."""
    layers = [layer for network in (generator, discriminator) for layer in network.modules()]
    return {
        "norms": [layer for layer in layers if isinstance(layer, InstanceNorm)],
        "convolutions before norms": [
            layer for layer in layers if isinstance(layer, ConvLayer) and isinstance(layer.norm, InstanceNorm)
        ],
        "generator": [generator],
        "its first layer": [generator.stem],
        "its upsampling": list(generator.up),
        "its last layer": [generator.head],
        "discriminator": [discriminator],
        "the discriminator's first layer": [discriminator.layers[0]],
        "the discriminator's last layer": [discriminator.layers[-1]],
    }


@contextmanager
def in_fp32(modules: list[nn.Module]) -> Iterator[None]:
    """Inside it, these modules compute in float32 under autocast too."""

    def exactly(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return forward(x.float())

    for module in modules:
        module.forward = partial(exactly, module.forward)
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def gradients(networks: Networks, batch: Batch, *, bf16: bool = False) -> Gradients:
    """Of each loss of pix2pix by all convolutions' weights of its player, in one vector."""
    generator, discriminator = networks

    def call(network: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            return network(x).float()

    def score(image: Tensor) -> Tensor:
        return call(discriminator, torch.cat([batch.x, image], 1))

    with Emulated() if bf16 and emulates(batch.x.device.type) else nullcontext():
        fake = call(generator, batch.x)
        losses = {
            "D": (
                discriminator,
                (fake_loss(score(fake.detach()), "hinge") + real_loss(score(batch.y), "hinge")) / 2,
            ),
            "G_gan": (generator, fool_loss(score(fake), "hinge")),
            "G_recon": (generator, pixel_loss(fake, batch.y, "l1")),
        }
        return {
            name: torch.cat([g.flatten() for g in torch.autograd.grad(loss, _kernels(player), retain_graph=True)])
            for name, (player, loss) in losses.items()
        }


def _kernels(network: nn.Module) -> list[nn.Parameter]:
    """Biases in front of a norm have no gradient but rounding."""
    return [weight for weight in network.parameters() if weight.ndim > 1]


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--work", type=Path, default=measure.ROOT / "runs" / "precision")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600, help="of each training, to a whole epoch (default 600)")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels (default 64)")
    parser.add_argument("--width", type=int, default=16, help="of the ResNet-9; the discriminator's is twice that")
    parser.add_argument("--unshaken", action="store_true", help="leave fp32 shaken out: a third less time")
    parser.add_argument("--device", default="cpu")
    chosen = measure.options(__doc__, turns=1, threads=1, own=parser)
    if chosen.quick:
        chosen.seeds, chosen.steps, chosen.size, chosen.width = 2, 2, 32, 2
    with TemporaryDirectory() as brief:
        compare(Store(Path(brief) if chosen.quick else chosen.work), chosen)


def compare(store: Store, chosen: argparse.Namespace) -> None:
    """Train what is not trained yet, report."""
    stages = contestants(chosen, open_task(DATA, size=chosen.size, channels=(3, 3)))
    runtime = Runtime(device=chosen.device, log_steps=1)
    scores: Scores = {}
    for (name, seed), stage in stages.items():
        with Emulated() if name == "bf16" and emulates(chosen.device) else nullcontext():
            store.realise(stage, runtime)
        scores[name, seed] = figures(store, stage)
        print(name, seed, {key: measure.figure(value) for key, value in scores[name, seed].items()}, flush=True)
    rows: list[dict[str, Any]] = [
        {"contestant": name, "seed": str(seed), **{key: measure.figure(value) for key, value in row.items()}}
        for (name, seed), row in scores.items()
    ]
    for name in dict.fromkeys(name for name, _ in stages if name != "fp32"):
        rows.append({"contestant": f"{name} less fp32", "seed": "mean", **differences(scores, name)})
    first = stages["fp32", 0]
    examples = load_examples(first.task, "train", store.cache, training=True)
    batches = training_batches(examples, batch_size=BATCH, size=first.task.size, flip=True, seed=7, epoch=0)
    rows += gradient_rows(store, first, [batch.on(torch.device("cpu")) for batch in islice(batches, BATCHES)])
    facts = {name: getattr(chosen, name) for name in ("seeds", "size", "width", "device")}
    steps = first.schedule.epochs * steps_per_epoch(len(examples), BATCH)
    measure.report("precision", chosen, rows, steps=steps, emulated=emulates(chosen.device), **facts)


if __name__ == "__main__":
    main()
