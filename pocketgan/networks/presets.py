"""Spec strings: `resnet:64`, `mobile-resnet:32_32_48_32_48_48_16_16`, `spade:64@coco`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from pocketgan.errors import SpecError, unknown
from pocketgan.networks.deep_resnet import DeepResnetSpec
from pocketgan.networks.discriminators import PatchSpec, PixelSpec
from pocketgan.networks.ms_image import MsImageSpec
from pocketgan.networks.multiscale import MultiscaleSpec
from pocketgan.networks.munit import MunitSpec
from pocketgan.networks.resnet import ResnetSpec
from pocketgan.networks.spade import SpadeSpec
from pocketgan.networks.spec import NetworkSpec, read_numbers, write_numbers
from pocketgan.networks.unet import UnetSpec

#: every generator family, for reading specs from JSON
GeneratorSpec = Annotated[
    ResnetSpec | SpadeSpec | MunitSpec | UnetSpec | DeepResnetSpec, Field(discriminator="kind")
]

#: every discriminator of a single generator, for reading specs from JSON
DiscriminatorSpec = Annotated[PatchSpec | PixelSpec | MultiscaleSpec | MsImageSpec, Field(discriminator="kind")]

#: label maps by the data set that they are of, named after an '@'
LABELS: dict[str, dict[str, Any]] = {
    "cityscapes": dict(in_channels=36, upsampling="more"),
    "coco": dict(in_channels=184, upsampling="normal"),
    "ade20k": dict(in_channels=151, upsampling="normal"),
}


def _sized(family: Any, numbers: tuple[int, ...], **fields: Any) -> NetworkSpec:
    return family.uniform(*numbers, **fields) if len(numbers) == 1 else family.of(numbers, **fields)


def _unet(numbers: tuple[int, ...], **fields: Any) -> NetworkSpec:
    """The list has one number a level, which says how many levels there are; eight where there is no list."""
    if len(numbers) == 1:
        return UnetSpec.uniform(*numbers, **fields)
    if len(numbers) < 5:
        raise SpecError(
            f"{write_numbers(numbers)} has {len(numbers)} widths; a unet takes one a level, of 5 levels or more"
        )
    return UnetSpec.of(numbers, levels=len(numbers), **fields)


FAMILIES: dict[str, Callable[..., NetworkSpec]] = {
    "resnet": partial(_sized, ResnetSpec),
    "mobile-resnet": partial(_sized, ResnetSpec, separable=("residual",)),
    "spade": partial(_sized, SpadeSpec),
    "mobile-spade": partial(_sized, SpadeSpec, separable=("modulation",)),
    "munit": partial(_sized, MunitSpec),
    "mobile-munit": partial(_sized, MunitSpec, separable=("residual", "up")),
    "unet": _unet,
    "deep-unet": partial(_unet, residuals=2),
    "deep-resnet": partial(_sized, DeepResnetSpec),
}


def parse_spec(text: str) -> NetworkSpec:
    """A spec from its string: the family, a colon, one base width or the family's width list.

    A spade may go on with '@' and what its label maps are: the name of a data set, or how many channels they have;
    they are those of Cityscapes otherwise.
    """
    family, colon, rest = text.partition(":")
    numbers, at, labels = rest.partition("@")
    if family not in FAMILIES:
        raise unknown("network", family, FAMILIES)
    if not colon:
        raise SpecError(f"'{text}' names no width; write e.g. {family}:64")
    if at and "spade" not in family:
        raise SpecError(f"'{text}' names label maps, which only a spade takes; leave out '@{labels}'")
    maps = LABELS.get(labels, {})
    if at and not maps:
        if not (labels.isascii() and labels.isdigit() and int(labels)):
            raise unknown("data set", labels, LABELS)
        maps = dict(in_channels=int(labels), upsampling="normal")
    return FAMILIES[family](read_numbers(numbers), **maps)
