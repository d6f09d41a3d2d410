"""The published search spaces, and your own from a list of widths.

Source: GAN Compression and Fast GAN Compression, the official configurations.
"""

from __future__ import annotations

from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import SpecError, unknown
from pocketgan.networks import GeneratorSpec, MunitSpec, ResnetSpec, SpadeSpec, UnetSpec, read_numbers

_STEPS_OF_8 = (64, 56, 48, 40, 32, 24, 16)

#: options of each of the eight numbers of a mobile ResNet
RESNET: dict[str, tuple[tuple[int, ...], ...]] = {
    "channels-48": ((48, 32),) * 2 + ((48, 40, 32),) * 4 + ((48, 32, 24, 16),) * 2,
    "channels-32": ((32, 24, 16),) * 8,
    "channels-64-cycleGAN": ((64, 48, 32, 24, 16),) * 8,
    "channels-64-pix2pix": (_STEPS_OF_8,) * 8,
    "test": ((8,), (8, 6), (8, 6), (8,), (8,), (8,), (8,), (8,)),
}

#: options of each of the eight numbers of a mobile SPADE
SPADE: dict[str, tuple[tuple[int, ...], ...]] = {
    "channels-48": ((48, 40, 32),) * 5 + ((48, 40, 32, 24),) * 3,
    "channels-64": ((64, 48, 40, 32),) * 5 + ((64, 48, 40, 32, 24),) * 3,
    "channels-64-coco": ((64, 48, 40, 32, 24),) * 8,
    "channels-64_2": (_STEPS_OF_8,) * 8,
}

#: options of each of the ten numbers of a mobile MUNIT
MUNIT: dict[str, tuple[tuple[int, ...], ...]] = {"channels-64": (_STEPS_OF_8,) * 10}

#: options of each of the levels of a U-Net; no paper has searched one
UNET: dict[str, tuple[tuple[int, ...], ...]] = {
    "unet-16": ((16, 12, 8),) * 8,
    "unet-64": ((64, 48, 32, 24, 16),) * 8,
}


def unet_space(name: str, spec: UnetSpec | None = None) -> SearchSpace:
    """A U-Net space by name, or one set of options for every level, e.g. '32_24_16_8'.

    `spec` gives everything but the widths (a U-Net of eight levels otherwise).
    """
    return _named(name, spec or UnetSpec.uniform(1), UNET)


def munit_space(name: str, spec: MunitSpec | None = None) -> SearchSpace:
    """A published MUNIT space by name, or one set of options for every choice, e.g. '32_24_16_8'.

    `spec` gives everything but the widths (a mobile MUNIT otherwise).
    """
    return _named(name, spec or MunitSpec.uniform(1, separable=("residual", "up")), MUNIT)


def spade_space(name: str, spec: SpadeSpec | None = None) -> SearchSpace:
    """A published SPADE space by name, or one set of options for every choice, e.g. '32_24_16_8'.

    `spec` gives everything but the widths (a mobile SPADE for Cityscapes otherwise).
    """
    return _named(name, spec or SpadeSpec.uniform(1, separable=("modulation",)), SPADE)


def resnet_space(name: str, spec: ResnetSpec | None = None) -> SearchSpace:
    """A published ResNet space by name, or one set of options for every choice, e.g. '32_24_16_8'.

    `spec` gives everything but the widths (a mobile ResNet-9 otherwise).
    """
    return _named(name, spec or ResnetSpec.uniform(1, separable=("residual",)), RESNET)


#: the spaces of each family that papers have searched, or we
PUBLISHED = {"resnet": RESNET, "spade": SPADE, "munit": MUNIT, "unet": UNET}


def space_named(name: str, spec: GeneratorSpec) -> SearchSpace:
    """A space of the spec's family by name, or one set of options for every choice, e.g. '32_24_16_8'.

    `spec` gives everything but the widths.
    """
    return _named(name, spec, PUBLISHED.get(spec.kind, {}))


def _named(name: str, spec: GeneratorSpec, published: dict[str, tuple[tuple[int, ...], ...]]) -> SearchSpace:
    if name in published:
        return SearchSpace.over(name, spec, published[name])
    if name.replace("_", "").isdigit():
        return uniform_space(spec, read_numbers(name))
    if not published:
        raise SpecError(
            f"no search space of a {spec.kind} has a name; list the options of every width, e.g. 32_24_16_8"
        )
    raise unknown("search space", name, published)


def uniform_space(spec: GeneratorSpec, options: tuple[int, ...]) -> SearchSpace:
    """The same options for every choice."""
    options = tuple(sorted(set(options), reverse=True))
    return SearchSpace.over("_".join(map(str, options)), spec, (options,) * len(spec.ties))
