"""Which networks there are, and their spec strings: `resnet:64`, `mobile-resnet:32_32_48_32_48_48_16_16,ends=5`.

A network is found by its file: every class of a module of this folder that is a spec with a `kind` is one. So a new
family is its own file and nothing else; a list of families would be a second place to keep in step with the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, TypeAdapter, ValidationError

from pocketgan import networks
from pocketgan.errors import SpecError, unknown
from pocketgan.networks.spade import LABELS as LABELS  # recipes ask for them here
from pocketgan.networks.spec import NetworkSpec, ScoreSpec, Spec, read_numbers


@cache
def specs() -> dict[str, type[Spec]]:
    """The spec of every network by its kind."""
    modules = [import_module(f"{networks.__name__}.{module.name}") for module in iter_modules(networks.__path__)]
    own = (thing for module in modules for thing in vars(module).values() if isinstance(thing, type))
    return {
        spec.model_fields["kind"].default: spec
        for spec in own
        if issubclass(spec, Spec) and not spec.model_fields["kind"].is_required()
    }


def _of_its_kind(value: Any) -> Any:
    """The spec that a mapping of fields (JSON) is of; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    kind = str(value.get("kind"))
    if kind not in specs():
        raise ValueError(f"there is no network of kind '{kind}', only of {', '.join(specs())}")
    return specs()[kind].model_validate(value)


#: for fields that hold the spec of any network, of any generator family, of any discriminator of one generator
AnySpec = Annotated[SerializeAsAny[Spec], BeforeValidator(_of_its_kind)]
GeneratorSpec = Annotated[SerializeAsAny[NetworkSpec], BeforeValidator(_of_its_kind)]
DiscriminatorSpec = Annotated[SerializeAsAny[ScoreSpec], BeforeValidator(_of_its_kind)]


def forms() -> dict[str, tuple[type[NetworkSpec], dict[str, Any]]]:
    """What may stand before the colon of a spec string, with the family and the fields that it stands for."""
    families = (spec for spec in specs().values() if issubclass(spec, NetworkSpec))
    return {name: (family, fields) for family in families for name, fields in family.forms.items()}


def parse_spec(text: str) -> NetworkSpec:
    """A spec from its string: the family, a colon, one base width or the family's width list.

    A spade may go on with '@' and what its label maps are: the name of a data set, or how many channels they have;
    they are those of Cityscapes otherwise. Other fields follow, each after a comma: `resnet:32,ends=5,blocks=6`.
    """
    form, colon, rest = text.partition(":")
    rest, *others = rest.split(",")
    numbers, at, labels = rest.partition("@")
    if form not in forms():
        raise unknown("network", form, forms())
    if not colon:
        raise SpecError(f"'{text}' names no width; write e.g. {form}:64")
    family, fields = forms()[form]
    more = family.label_fields(labels) if at else {}
    given = dict(_field(family, part) for part in others)
    try:
        return family.read(read_numbers(numbers), **{**fields, **more, **given})
    except ValidationError as error:
        raise _unfit(text, error) from error


def _field(family: type[NetworkSpec], part: str) -> tuple[str, Any]:
    """'ends=5' of a spec string: a field and its value."""
    name, _, value = part.strip().partition("=")
    fields = family.model_fields.keys() - {"kind", "widths"}
    if name not in fields:
        raise unknown(f"field of a {family.model_fields['kind'].default}", name, sorted(fields))
    with suppress(ValueError):  # else it is a word
        value = json.loads(value)
    try:
        return name, TypeAdapter(family.model_fields[name].rebuild_annotation()).validate_python(value)
    except ValidationError as error:
        raise _unfit(part, error) from error


def _unfit(text: str, error: ValidationError) -> SpecError:
    told = error.errors()[0]["msg"].removeprefix("Value error, ")
    return SpecError(f"'{text}' is no part of a spec string: {told[0].lower()}{told[1:]}")
