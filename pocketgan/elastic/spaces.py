"""Search spaces by name or from a list of widths; depth and sides of kernels besides, where you name them."""

from __future__ import annotations

from pocketgan.elastic.space import (
    DepthChoice,
    EndsChoice,
    FieldChoice,
    Further,
    KernelChoice,
    SearchSpace,
    enlarged,
)
from pocketgan.errors import SpecError, unknown
from pocketgan.networks import NetworkSpec, read_numbers, write_numbers

#: choices beside those of the widths, by the names of their parts in a space's text
FURTHER: dict[str, type[FieldChoice]] = {"depth": DepthChoice, "kernel": KernelChoice, "ends": EndsChoice}
EXAMPLES = {"depth": "depth=9_6_3", "kernel": "kernel=7_5_3", "ends": "ends=7_5_3"}


def space_named(name: str, spec: NetworkSpec) -> SearchSpace:
    """A published space of the spec's family by name, or one set of options for every choice, e.g. '32_24_16_8';
    either may go on with how many blocks and with the sides of kernels, those of the blocks and those of stem and
    head, e.g. '32_24_16_8,depth=9_6_3,kernel=7_5_3,ends=7_5_3'.

    `spec` gives everything else.
    """
    widths, *parts = name.split(",")
    further = _further(parts)
    spec = enlarged(spec, further)
    if widths in spec.spaces:
        return SearchSpace.over(_joined(widths, further), spec, spec.spaces[widths], further)
    if widths.replace("_", "").isdigit():
        return uniform_space(spec, read_numbers(widths), further)
    if not spec.spaces:
        raise SpecError(
            f"no search space of a {spec.kind} has a name; list the options of every width, e.g. 32_24_16_8"
        )
    raise unknown("search space", widths, spec.spaces)


def _further(parts: list[str]) -> Further:
    """What the named parts of a space's text say."""
    choices: dict[str, FieldChoice] = {}
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


def uniform_space(spec: NetworkSpec, options: tuple[int, ...], further: Further = ()) -> SearchSpace:
    """The same options for every width, and further choices, the largest options of which are those of `spec`."""
    options = _descending(options)
    name = _joined(write_numbers(options), further)
    return SearchSpace.over(name, spec, (options,) * len(spec.ties), further)


def _joined(widths: str, further: Further) -> str:
    return ",".join((widths, *(f"{choice.kind}={write_numbers(choice.options)}" for choice in further)))


def _descending(options: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(options), reverse=True))
