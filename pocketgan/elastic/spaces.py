"""The published search spaces, and your own from a list of widths; depth and kernels besides, where you name them.

Source: GAN Compression and Fast GAN Compression, the official configurations.
"""

from __future__ import annotations

from pocketgan.elastic.space import DepthChoice, Further, KernelChoice, SearchSpace, enlarged
from pocketgan.errors import SpecError, unknown
from pocketgan.networks import GeneratorSpec, read_numbers, write_numbers

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


#: the spaces of each family that papers have searched, or we
PUBLISHED = {"resnet": RESNET, "spade": SPADE, "munit": MUNIT, "unet": UNET}


#: choices beside those of the widths, by the names of their parts in a space's text
FURTHER: dict[str, type[DepthChoice] | type[KernelChoice]] = {"depth": DepthChoice, "kernel": KernelChoice}
EXAMPLES = {"depth": "depth=9_6_3", "kernel": "kernel=7_5_3"}


def space_named(name: str, spec: GeneratorSpec) -> SearchSpace:
    """A space of the spec's family by name, or one set of options for every choice, e.g. '32_24_16_8'; either may
    go on with how many blocks and with the sides of kernels, e.g. '32_24_16_8,depth=9_6_3,kernel=7_5_3'.

    `spec` gives everything else.
    """
    published = PUBLISHED.get(spec.kind, {})
    widths, *parts = name.split(",")
    further = _further(parts)
    spec = enlarged(spec, further)
    if widths in published:
        return SearchSpace.over(_joined(widths, further), spec, published[widths], further)
    if widths.replace("_", "").isdigit():
        return uniform_space(spec, read_numbers(widths), further)
    if not published:
        raise SpecError(
            f"no search space of a {spec.kind} has a name; list the options of every width, e.g. 32_24_16_8"
        )
    raise unknown("search space", widths, published)


def _further(parts: list[str]) -> Further:
    """What the named parts of a space's text say."""
    choices: dict[str, DepthChoice | KernelChoice] = {}
    for part in parts:
        name, _, numbers = part.strip().partition("=")
        if name not in FURTHER:
            raise unknown("choice of a search space", name, FURTHER)
        if name in choices:
            raise SpecError(f"a search space has one {name}, and '{','.join(parts)}' names it twice; give it once")
        options = numbers.split("_")
        if not all(option.isascii() and option.isdigit() for option in options):
            raise SpecError(f"'{part.strip()}' of a search space cannot be read; write e.g. {EXAMPLES[name]}")
        choices[name] = FURTHER[name](options=_descending(tuple(map(int, options))))
    return tuple(choices.values())


def uniform_space(spec: GeneratorSpec, options: tuple[int, ...], further: Further = ()) -> SearchSpace:
    """The same options for every width, and further choices, the largest options of which are those of `spec`."""
    options = _descending(options)
    name = _joined(write_numbers(options), further)
    return SearchSpace.over(name, spec, (options,) * len(spec.ties), further)


def _joined(widths: str, further: Further) -> str:
    return ",".join((widths, *(f"{choice.kind}={write_numbers(choice.options)}" for choice in further)))


def _descending(options: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(options), reverse=True))
