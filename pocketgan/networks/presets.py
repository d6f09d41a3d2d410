"""Spec strings: `resnet:64`, `mobile-resnet:32_32_48_32_48_48_16_16`."""

from __future__ import annotations

from collections.abc import Callable

from pocketgan.errors import SpecError, unknown
from pocketgan.networks.resnet import ResnetSpec
from pocketgan.networks.spec import NetworkSpec, read_numbers

#: every generator family, for reading specs from JSON (a union discriminated by `kind` as families join)
GeneratorSpec = ResnetSpec


def _resnet(numbers: tuple[int, ...], **fields) -> ResnetSpec:
    return ResnetSpec.uniform(*numbers, **fields) if len(numbers) == 1 else ResnetSpec.of(numbers, **fields)


FAMILIES: dict[str, Callable[[tuple[int, ...]], NetworkSpec]] = {
    "resnet": _resnet,
    "mobile-resnet": lambda numbers: _resnet(numbers, separable=("residual",)),
}


def parse_spec(text: str) -> NetworkSpec:
    """A spec from its string: the family, a colon, one base width or the family's width list."""
    family, colon, numbers = text.partition(":")
    if family not in FAMILIES:
        raise unknown("network", family, FAMILIES)
    if not colon:
        raise SpecError(f"'{text}' names no width; write e.g. {family}:64")
    return FAMILIES[family](read_numbers(numbers))
