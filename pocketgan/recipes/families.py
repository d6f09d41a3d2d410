"""The models that can be compressed: for each, its networks and games at the published weights of the terms."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pocketgan.data.task import Task
from pocketgan.elastic.sampling import AnySampling, ResolutionSampling
from pocketgan.errors import DataError, SpecError
from pocketgan.metrics import METRICS
from pocketgan.metrics.catalog import FRECHET
from pocketgan.networks import (
    DiscriminatorSpec,
    GeneratorSpec,
    MsImageSpec,
    MultiscaleSpec,
    MunitSpec,
    PatchSpec,
    ResnetSpec,
    SharedPatchSpec,
    SpadeSpec,
)
from pocketgan.networks.spade import Upsampling
from pocketgan.objectives.cycle import CycleGanSettings
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.munit import MunitSettings
from pocketgan.objectives.munit_distil import MunitDistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.objectives.spade import SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistilSettings
from pocketgan.pipeline.games import Distilling, Teaching
from pocketgan.pipeline.stages import Given
from pocketgan.units import Size, size_text

ModelName = Literal["pix2pix", "cyclegan", "gaugan", "munit"]

PAIRS, UNPAIRED, LABELS = "pairs of images", "two sets of images without pairs", "label maps with their images"


class Family(NamedTuple):
    """What belongs together: the data, the teacher's game and the student's; and which generators play it."""

    data: str
    teaching: str
    distilling: str
    generators: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "pix2pix": Family(PAIRS, "pix2pix", "distil", ("resnet", "unet", "deep_resnet")),
    "cyclegan": Family(UNPAIRED, "cyclegan", "distil", ("resnet", "unet", "deep_resnet")),
    "gaugan": Family(LABELS, "spade", "spade-distil", ("spade",)),
    "munit": Family(UNPAIRED, "munit", "munit-distil", ("munit",)),
}


def data_of(task: Task) -> str:
    """What a task's images are, in words."""
    return LABELS if task.labels else PAIRS if task.paired else UNPAIRED


def model_for(task: Task) -> ModelName:
    """The model that suits the data; of those without pairs CycleGAN."""
    return "gaugan" if task.labels else "pix2pix" if task.paired else "cyclegan"


def parts(
    model: ModelName,
    width: int,
    judge: int,
    *,
    mobile: bool = False,
    in_channels: int = 3,
    upsampling: Upsampling = "normal",
) -> dict[str, Any]:
    """Networks and games of a model, as arguments of `Settings`: the teacher of base width `width`, `mobile` or
    dense, and discriminators of `judge`. `in_channels`, `upsampling`: of label maps.

    Source: GAN Compression (CVPR 2020; TPAMI 2022), the published settings.
    """
    resnet = ResnetSpec.uniform(width, separable=("residual",) if mobile else ())
    if model == "pix2pix":
        return dict(
            teacher=resnet,
            discriminator=PatchSpec(width=judge),
            objective=Pix2PixSettings(),
            distillation=DistilSettings(),
        )
    if model == "cyclegan":
        return dict(
            teacher=resnet,
            discriminator=PatchSpec(in_channels=3, width=judge),
            objective=CycleGanSettings(),
            distillation=DistilSettings(paired=False, gan_mode="lsgan", recon=10, distil=0.01),
        )
    if model == "gaugan":
        form: dict[str, Any] = dict(
            in_channels=in_channels, upsampling=upsampling, separable=("modulation",) if mobile else ()
        )
        return dict(
            teacher=SpadeSpec.uniform(width, **form, spectral=True),
            discriminator=MultiscaleSpec(in_channels=in_channels + 3, width=judge),
            objective=SpadeSettings(),
            distillation=SpadeDistilSettings(),
        )
    return dict(
        teacher=MunitSpec.uniform(width, separable=("residual", "up") if mobile else ()),
        discriminator=MsImageSpec(width=judge),
        objective=MunitSettings(),
        distillation=MunitDistilSettings(),
    )


def check_family(
    task: Task,
    teacher: GeneratorSpec,
    discriminator: DiscriminatorSpec,
    teaching: Teaching,
    distilling: Distilling,
) -> None:
    """Raise `DataError` or `SpecError` unless networks, games and data belong together."""
    check_players(task, teacher, discriminator, teaching)
    model, family = _family(teaching)
    if distilling.kind != family.distilling:
        raise SpecError(f"a student of {model} learns by {family.distilling}; leave distillation.kind as it is")
    if isinstance(distilling, DistilSettings) and distilling.paired != task.paired:
        raise SpecError("whether students see pairs follows from the data; leave distillation.paired as it is")


def check_players(
    task: Task, teacher: GeneratorSpec, discriminator: DiscriminatorSpec | SharedPatchSpec, teaching: Teaching
) -> None:
    """Raise `DataError` or `SpecError` unless a teacher, its discriminator, game and data belong together."""
    model, family = _family(teaching)
    if family.data != data_of(task):
        ignore = ", or --unpaired to ignore the pairs" if family.data == UNPAIRED and not task.labels else ""
        raise DataError(
            f"{model} learns from {family.data}, and {task.root} holds {data_of(task)}; "
            f"choose another --model{ignore}"
        )
    if teacher.kind not in family.generators:
        raise SpecError(f"{model} trains no {teacher.kind}; choose a teacher among {', '.join(family.generators)}")
    seen = 3 if family.data == UNPAIRED else task.in_channels + 3
    if (teacher.in_channels, teacher.out_channels, discriminator.in_channels) != (task.in_channels, 3, seen):
        raise SpecError(
            f"here a generator makes 3 channels of {task.in_channels} and its discriminator sees {seen}; "
            "leave in_channels and out_channels as they are"
        )
    check_sides(task.size, teacher, discriminator)


def _family(teaching: Teaching) -> tuple[str, Family]:
    """The model whose teacher plays this game."""
    return next((name, own) for name, own in FAMILIES.items() if own.teaching == teaching.kind)


def check_sides(size: Size, teacher: GeneratorSpec, discriminator: DiscriminatorSpec | SharedPatchSpec) -> None:
    """Raise `SpecError` unless both networks can take images of this size."""
    teacher.check_size(*size)
    if min(size) < discriminator.smallest_side:
        raise SpecError(
            f"size {size_text(size)} is too small for a {discriminator.kind} discriminator, which judges images "
            f"from {discriminator.smallest_side} pixels on; use --size {discriminator.smallest_side} or more"
        )


def check_resolutions(
    task: Task,
    sampling: AnySampling,
    teacher: GeneratorSpec,
    discriminator: DiscriminatorSpec | SharedPatchSpec | None,
) -> None:
    """Raise `SpecError` unless a teacher, and a discriminator that sees them too, can take all resolutions."""
    if not isinstance(sampling, ResolutionSampling):
        return
    sampling.check(teacher, task.size)
    smallest = min(map(min, sampling.every(task.size)))
    if discriminator and smallest < discriminator.smallest_side:
        raise SpecError(
            f"a resolution of {smallest} is too small for a {discriminator.kind} discriminator, which judges "
            f"images from {discriminator.smallest_side} pixels on; leave it out"
        )


def check_counts(task: Task) -> None:
    """Raise `DataError` unless there are images enough to choose by and to score on."""
    for split in ("select", "test"):
        count, domain = min((len(samples), name) for samples, name in zip(task.files(split), "AB", strict=True))
        if count < 2:
            what = f"{count} pair" if task.paired else f"{count} image of {domain}"
            raise DataError(
                f"{task.root} has {what} to {split} on, and scores need at least 2; add images ({task.split_note})"
            )


def check_metric(task: Task, name: str, *, teachers: bool = False) -> None:
    """Raise `SpecError` unless networks can be chosen by this score: said before anything is trained.

    `teachers`: these are chosen by it too, so that it must not compare with one.
    """
    needs = METRICS[name].needs
    if teachers and "teacher" in needs:
        raise SpecError(f"{name} cannot choose among teachers; set metric to {FRECHET}")
    if "labels" in needs or ("pairs" in needs and not task.paired):
        lack = "a segmenter" if "labels" in needs else f"pairs, and {task.root} has none"
        usual = FRECHET if task.paired or teachers else f"{FRECHET} or teacher_l1"
        raise SpecError(f"a search by {name} needs {lack}; search by {usual}")


def check_direction(task: Task, teacher: Given) -> None:
    """Raise `SpecError` where a finished teacher is known to translate the other way."""
    if teacher.direction not in (None, task.direction):
        raise SpecError(
            f"{teacher.file} was made for the direction {teacher.direction}, and this is {task.direction}; pass "
            f"--direction {teacher.direction}, or another teacher"
        )
