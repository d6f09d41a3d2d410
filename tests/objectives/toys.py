"""Games at toy size in which every number follows from a formula: no random numbers of any library, but for the
styles that MUNIT draws."""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import MsImageSpec, MultiscaleSpec, MunitSpec, PatchSpec, ResnetSpec, SpadeSpec
from pocketgan.networks.spectral import SpectralConv2d
from pocketgan.objectives.base import Losses, Objective
from pocketgan.objectives.cycle import CycleGan, CycleGanSettings
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.in_place import InPlace, InPlaceSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycle, InPlaceCycleSettings
from pocketgan.objectives.munit import Munit, MunitSettings
from pocketgan.objectives.munit_distil import MunitDistiller, MunitDistilSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.objectives.spade import Spade, SpadeGame, SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistiller, SpadeDistilSettings

TEACHER = ResnetSpec.uniform(3, blocks=3)
STUDENT = ResnetSpec.uniform(2, blocks=3, separable=("residual",))
JUDGE = PatchSpec(width=2, layers=1)
IMAGES_JUDGE = JUDGE.model_copy(update={"in_channels": 3})

CLASSES = 4
SPADE = SpadeSpec.uniform(1, in_channels=CLASSES, upsampling="normal")
MOBILE_SPADE = SPADE.mobile
SPADE_JUDGE = MultiscaleSpec(in_channels=CLASSES + 3, width=2, layers=3)

MUNIT = MunitSpec.uniform(3, blocks=2, mlp_width=6, style_channels=3)
MOBILE_MUNIT = MUNIT.mobile.resized((2,) * len(MUNIT.widths))
MUNIT_JUDGE = MsImageSpec(width=2, layers=2, scales=2)


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
    for layer in network.modules():
        if isinstance(layer, SpectralConv2d):
            for vector in (layer.weight_u, layer.weight_v):
                vector.copy_(nn.functional.normalize(wave(vector.shape, phase), dim=0))
    return network


def batch(number: int, size: int = 2, side: int = 16) -> Batch:
    """Targets are a smooth function of the sources, so that there is something to learn."""
    x = wave(torch.Size((size, 3, side, side)), 10.0 + number)
    y = torch.tanh(x.flip(1) - 0.5 * x.mean(1, keepdim=True))
    return Batch(x, y, tuple(f"{number}-{i}" for i in range(size)))


def labels(number: int, size: int = 1, side: int = 64) -> Batch:
    """Label maps in blocks of 8 pixels, and images whose colours are those of the labels."""
    blocks = wave(torch.Size((size, CLASSES, side // 8, side // 8)), 20.0 + number).argmax(1)
    x = nn.functional.one_hot(blocks, CLASSES).permute(0, 3, 1, 2).double()
    x = x.repeat_interleave(8, 2).repeat_interleave(8, 3)
    y = torch.tanh(torch.einsum("bchw,cd->bdhw", x, 2 * wave(torch.Size((CLASSES, 3)), 0.0)))
    return Batch(x, y, tuple(f"{number}-{i}" for i in range(size)))


class Seer(nn.Module):
    """A perceptual network of five stages."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(2 if i else 3, 2, 3, stride=2, padding=1) for i in range(5))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for i, layer in enumerate(self.layers):
            x = found[f"stage{i}"] = layer(x).relu()
        return found


def pix2pix(**settings) -> Pix2Pix:
    return Pix2Pix(Pix2PixSettings(**settings), filled(TEACHER.build(), 0.1), filled(JUDGE.build(), 0.2))


def cyclegan(**settings) -> CycleGan:
    generators = [filled(TEACHER.build(), phase) for phase in (0.1, 0.7)]
    judges = [filled(IMAGES_JUDGE.build(), phase) for phase in (0.2, 0.8)]
    return CycleGan(CycleGanSettings(**{"pool": 5, **settings}), *generators, *judges)


def spade(*, spec: SpadeSpec = SPADE, **settings) -> Spade:
    networks = filled(spec.build(), 0.1), filled(SPADE_JUDGE.build(), 0.2), filled(Seer(), 0.9)
    return Spade(SpadeSettings(**settings), *networks)


def munit(**settings) -> Munit:
    generators = [filled(MUNIT.build(), phase) for phase in (0.1, 0.7)]
    judges = [filled(MUNIT_JUDGE.build(), phase) for phase in (0.2, 0.8)]
    return Munit(MunitSettings(**settings), *generators, *judges)


def distiller(*, supernet: bool = False, **settings) -> Distiller:
    judge = JUDGE if settings.get("paired", True) else IMAGES_JUDGE
    return _distiller(Distiller, DistilSettings(**settings), TEACHER, STUDENT, judge, supernet)


def spade_distiller(*, supernet: bool = False, **settings) -> SpadeDistiller:
    made = SpadeDistilSettings(**settings)
    seer = filled(Seer(), 0.9) if made.perceptual else None
    return _distiller(SpadeDistiller, made, SPADE, MOBILE_SPADE, SPADE_JUDGE, supernet, perceptual=seer)


def munit_distiller(*, supernet: bool = False, **settings) -> MunitDistiller:
    return _distiller(MunitDistiller, MunitDistilSettings(**settings), MUNIT, MOBILE_MUNIT, MUNIT_JUDGE, supernet)


def in_place(*, spec: ResnetSpec = STUDENT, options: tuple[int, ...] = (), **settings) -> InPlace:
    """A plain network, or a supernet of widths of these options, with the weights of `pix2pix`; one rate for both
    players unless another is given."""
    settings = {"discriminator_lr": settings.get("lr", 2e-4), **settings}
    space = uniform_space(spec, options) if options else None
    student = filled(Supernet(space.spec) if space else spec.build(), 0.1)
    return InPlace(InPlaceSettings(**settings), student, filled(JUDGE.build(), 0.2), space)


def in_place_cycle(*, spec: ResnetSpec = STUDENT, options: tuple[int, ...] = (), **settings) -> InPlaceCycle:
    """As `in_place`, with the other networks of `cyclegan`."""
    settings = {"discriminator_lr": settings.get("lr", 2e-4), "pool": 5, **settings}
    space = uniform_space(spec, options) if options else None
    student = filled(Supernet(space.spec) if space else spec.build(), 0.1)
    judges = [filled(IMAGES_JUDGE.build(), phase) for phase in (0.2, 0.8)]
    return InPlaceCycle(InPlaceCycleSettings(**settings), student, filled(TEACHER.build(), 0.7), *judges, space)


def _distiller(kind: Callable, settings, teacher, spec, judge, supernet: bool, **more):
    space = None
    if supernet:
        space = uniform_space(spec, (2, 1) if isinstance(spec, SpadeSpec) else (3, 2, 1))
        spec = space.spec
    return kind(
        settings,
        filled(teacher.build(), 0.3),
        filled(Supernet(spec) if space else spec.build(), 0.4),
        filled(Adaptors({t: (spec.tap_channels(t), teacher.tap_channels(t)) for t in spec.taps}), 0.5),
        filled(judge.build(), 0.6),
        space,
        **more,
    )


def fitting_batch(game: Objective, number: int) -> Batch:
    """What this game takes."""
    return labels(number) if isinstance(game, SpadeGame) else batch(number)


def play(game: Objective, steps: int, first: int = 0) -> list[Losses]:
    return [game.step(fitting_batch(game, number), random.Random(number)) for number in range(first, first + steps)]


def tensors(game: Objective) -> dict[str, Tensor]:
    """Copies of everything that training changes, by name."""
    found: dict[str, Tensor] = {}

    def walk(node, name: str) -> None:
        if isinstance(node, Tensor):
            found[name] = node.detach().clone()
        elif isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{name}/{key}")
        elif isinstance(node, list):
            walk(dict(enumerate(node)), name)

    walk(game.state_dict(), "")
    return found


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
