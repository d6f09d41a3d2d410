"""The published search spaces, and your own from a list of widths.

Source: GAN Compression and Fast GAN Compression, the official configurations.
"""

from __future__ import annotations

from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import unknown
from pocketgan.networks import GeneratorSpec, ResnetSpec, read_numbers

_STEPS_OF_8 = (64, 56, 48, 40, 32, 24, 16)

#: options of each of the eight numbers of a mobile ResNet
RESNET: dict[str, tuple[tuple[int, ...], ...]] = {
    "channels-48": ((48, 32),) * 2 + ((48, 40, 32),) * 4 + ((48, 32, 24, 16),) * 2,
    "channels-32": ((32, 24, 16),) * 8,
    "channels-64-cycleGAN": ((64, 48, 32, 24, 16),) * 8,
    "channels-64-pix2pix": (_STEPS_OF_8,) * 8,
    "test": ((8,), (8, 6), (8, 6), (8,), (8,), (8,), (8,), (8,)),
}


def resnet_space(name: str, spec: ResnetSpec | None = None) -> SearchSpace:
    """A published ResNet space by name, or one set of options for every choice, e.g. '32_24_16_8'.

    `spec` gives everything but the widths (a mobile ResNet-9 otherwise).
    """
    spec = spec or ResnetSpec.uniform(1, separable=("residual",))
    if name in RESNET:
        return SearchSpace.over(name, spec, RESNET[name])
    if name.replace("_", "").isdigit():
        return uniform_space(spec, read_numbers(name))
    raise unknown("search space", name, RESNET)


def uniform_space(spec: GeneratorSpec, options: tuple[int, ...]) -> SearchSpace:
    """The same options for every choice."""
    options = tuple(sorted(set(options), reverse=True))
    return SearchSpace.over("_".join(map(str, options)), spec, (options,) * len(spec.ties))
