"""Games at toy size in which every number follows from a formula: no random numbers of any library."""

import random

import torch
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.base import Losses, Objective
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings

TEACHER = ResnetSpec.uniform(3, blocks=3)
STUDENT = ResnetSpec.uniform(2, blocks=3, separable=("residual",))
JUDGE = PatchSpec(width=2, layers=1)


def wave(shape: torch.Size, phase: float) -> Tensor:
    """sin(1.7 k + phase + sin(k^2)), k = 0, 1, ...: as irregular as noise, and the same everywhere; float64."""
    k = torch.arange(shape.numel(), dtype=torch.float64)
    return torch.sin(1.7 * k + phase + torch.sin(k * k)).view(shape)


@torch.no_grad()
def filled(network: nn.Module, phase: float) -> nn.Module:
    """Weights of the size that training starts from."""
    network.double()
    for number, parameter in enumerate(network.parameters()):
        parameter.copy_(0.1 * wave(parameter.shape, phase + number))
    return network


def batch(number: int, size: int = 2, side: int = 16) -> Batch:
    """Targets are a smooth function of the sources, so that there is something to learn."""
    x = wave(torch.Size((size, 3, side, side)), 10.0 + number)
    y = torch.tanh(x.flip(1) - 0.5 * x.mean(1, keepdim=True))
    return Batch(x, y, tuple(f"{number}-{i}" for i in range(size)))


def pix2pix(**settings) -> Pix2Pix:
    return Pix2Pix(Pix2PixSettings(**settings), filled(TEACHER.build(), 0.1), filled(JUDGE.build(), 0.2))


def distiller(*, supernet: bool = False, **settings) -> Distiller:
    space = uniform_space(STUDENT, (3, 2, 1)) if supernet else None
    spec = space.spec if space else STUDENT
    paired = settings.get("paired", True)
    return Distiller(
        DistilSettings(**settings),
        filled(TEACHER.build(), 0.3),
        filled(Supernet(spec) if space else spec.build(), 0.4),
        filled(Adaptors({t: (spec.tap_channels(t), TEACHER.tap_channels(t)) for t in spec.taps}), 0.5),
        filled(JUDGE.model_copy(update={"in_channels": 6 if paired else 3}).build(), 0.6),
        space,
    )


def play(game: Objective, steps: int, first: int = 0) -> list[Losses]:
    return [game.step(batch(number), random.Random(number)) for number in range(first, first + steps)]


def tensors(game: Objective) -> dict[str, Tensor]:
    """Copies of everything that training changes, by name."""
    found: dict[str, Tensor] = {}

    def walk(node, name: str) -> None:
        if isinstance(node, Tensor):
            found[name] = node.detach().clone()
        elif isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{name}/{key}")

    walk(game.state_dict(), "")
    return found


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
