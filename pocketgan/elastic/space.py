"""Search spaces: which widths, depths and kernels may be chosen, and how choices become a network.

Source: GAN Compression, CVPR 2020 (widths); Cai et al., Once-for-All, ICLR 2020 (depth and kernels besides).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Int
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from pocketgan.errors import SpecError
from pocketgan.networks import GeneratorSpec, Genome, NetworkSpec, Widths, write_numbers

Spec = TypeVar("Spec", bound=NetworkSpec)


def _ordered(options: tuple[int, ...]) -> tuple[int, ...]:
    if not options or list(options) != sorted(set(options), reverse=True):
        raise ValueError(f"options must be distinct and listed largest first, got {list(options)}")
    return options


Options = Annotated[tuple[int, ...], AfterValidator(_ordered)]


class Choice(BaseModel):
    """One searchable dimension: the positions of `widths` that it sets, and its options, largest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positions: tuple[int, ...]
    options: Options


class DepthChoice(BaseModel):
    """How many residual blocks are kept, the first ones; of a U-Net, how many at each level. Largest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: ClassVar[tuple[str, ...]] = ("blocks", "residuals")

    kind: Literal["depth"] = "depth"
    options: Options


class KernelChoice(BaseModel):
    """The side of the residual blocks' kernels, largest first; see `kernels.py` for how smaller ones are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: ClassVar[tuple[str, ...]] = ("kernel",)

    kind: Literal["kernel"] = "kernel"
    options: Options


class EndsChoice(BaseModel):
    """The side of the kernels of stem and head, largest first; a smaller kernel is the centre of the largest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: ClassVar[tuple[str, ...]] = ("ends",)

    kind: Literal["ends"] = "ends"
    options: Options


FieldChoice = DepthChoice | KernelChoice | EndsChoice
#: the choices of a space beside those of its widths
Further = tuple[FieldChoice, ...]


class Form(NamedTuple):
    """All of a network but its widths: its spec at the widest, and where its widths stand among those of the
    largest network."""

    spec: NetworkSpec
    kept: tuple[int, ...]


class SearchSpace(BaseModel):
    """The product of choices. A genome holds one option for each choice.

    `spec` is the largest network. Where depth is a choice, the widths of blocks that a network has not are of no
    account: genomes that differ in nothing else are one network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    spec: GeneratorSpec
    choices: tuple[Choice | FieldChoice, ...]

    @model_validator(mode="after")
    def _possible(self) -> SearchSpace:
        fields = [field for field, _ in self._fields]
        if len(set(fields)) < len(fields):
            raise SpecError(
                f"depth, kernel and ends can be chosen once each, got {', '.join(fields)}; leave one out"
            )
        for field, column in self._fields:
            options = self.choices[column].options
            if options[0] != getattr(self.spec, field):
                raise SpecError(
                    f"the largest network of a space has its largest options: {field}={options[0]}, not "
                    f"{getattr(self.spec, field)}; change its spec"
                )
            for option in options:
                form_of(self.spec, ((field, option),))
        return self

    @classmethod
    def over(
        cls,
        name: str,
        spec: GeneratorSpec,
        options: tuple[tuple[int, ...], ...],
        further: Further = (),
    ) -> SearchSpace:
        """A space over the family's short width list: options for each number; the supernet is made as wide as the
        largest options. Of `further` choices, the spec has the largest options already (see `enlarged`)."""
        if spec != spec.folded:
            raise SpecError(
                "a search space is over networks without spectral norm; leave 'spectral' out of its spec"
            )
        if len(options) != len(spec.ties):
            raise SpecError(f"a {spec.kind} space has {len(spec.ties)} choices, {len(options)} were given")
        choices = tuple(
            Choice(positions=positions, options=tuple(sorted(set(own), reverse=True)))
            for positions, own in zip(spec.ties, options, strict=True)
        )
        widest = spec.resized(spec.spread(tuple(choice.options[0] for choice in choices)))
        return cls(name=name, spec=widest, choices=(*choices, *further))

    @property
    def size(self) -> int:
        """How many genomes there are."""
        return math.prod(len(choice.options) for choice in self.choices)

    @property
    def largest(self) -> Genome:
        return tuple(choice.options[0] for choice in self.choices)

    @property
    def smallest(self) -> Genome:
        return tuple(choice.options[-1] for choice in self.choices)

    def sample(self, rng: random.Random) -> Genome:
        """Each choice drawn independently and uniformly."""
        return tuple(rng.choice(choice.options) for choice in self.choices)

    def __contains__(self, genome: Genome) -> bool:
        return len(genome) == len(self.choices) and all(
            number in choice.options for number, choice in zip(genome, self.choices, strict=True)
        )

    def genomes(self, indices: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n choices"]:
        """The genomes with these numbers, 0 (the largest) to size - 1 (the smallest), last choice fastest."""
        columns = []
        for choice in reversed(self.choices):
            indices, digit = np.divmod(indices, len(choice.options))
            columns.append(np.asarray(choice.options, dtype=np.int64)[digit])
        return np.stack(columns[::-1], axis=1)

    @cached_property
    def _columns(self) -> tuple[tuple[int, int], ...]:
        """Positions of `widths`, and the choices that set them."""
        widths = ((c, choice) for c, choice in enumerate(self.choices) if isinstance(choice, Choice))
        return tuple((p, c) for c, choice in widths for p in choice.positions)

    @cached_property
    def _fields(self) -> tuple[tuple[str, int], ...]:
        """Other fields of the spec, and the choices that set them."""
        others = ((c, choice) for c, choice in enumerate(self.choices) if not isinstance(choice, Choice))
        return tuple((field_of(choice, self.spec), c) for c, choice in others)

    def subspec(self, genome: Genome) -> NetworkSpec:
        """The network that a genome stands for."""
        form = form_of(self.spec, tuple((field, int(genome[column])) for field, column in self._fields))
        widths = self.widths(genome)
        return form.spec.resized(tuple(widths[position] for position in form.kept))

    def widths(self, genome: Genome) -> Widths:
        """The widths of a genome, in the order of those of the largest network and at its depth."""
        widths = list(self.spec.widths)
        for position, column in self._columns:
            widths[position] = int(genome[column])
        return tuple(widths)

    def all_widths(self, genomes: Int[np.ndarray, "n choices"]) -> Int[np.ndarray, "n groups"]:
        """`widths` for many genomes at once."""
        widths = np.tile(np.asarray(self.spec.widths, dtype=np.int64), (len(genomes), 1))
        for position, column in self._columns:
            widths[:, position] = genomes[:, column]
        return widths

    def forms(self, genomes: Int[np.ndarray, "n choices"]) -> Iterator[tuple[Form, Bool[np.ndarray, " n"]]]:
        """The forms that these genomes have, each with which of them have it."""
        columns = [column for _, column in self._fields]
        if not columns:
            yield form_of(self.spec, ()), np.ones(len(genomes), dtype=bool)
            return
        found, which = np.unique(genomes[:, columns], axis=0, return_inverse=True)
        for number, options in enumerate(found.tolist()):
            fields = tuple((field, option) for (field, _), option in zip(self._fields, options, strict=True))
            yield form_of(self.spec, fields), which.reshape(-1) == number

    def canonical(self, genomes: Int[np.ndarray, "n choices"]) -> Int[np.ndarray, "n choices"]:
        """The genomes with all that is of no account at the smallest: one network has one genome."""
        genomes = genomes.copy()
        for form, rows in self.forms(genomes):
            for column, choice in enumerate(self.choices):
                if isinstance(choice, Choice) and not set(choice.positions) & set(form.kept):
                    genomes[rows, column] = choice.options[-1]
        return genomes

    def text(self, genome: Genome) -> str:
        """'32_32_48', or '32_32_48,depth=6,kernel=5': the numbers of a genome, those of widths first."""
        pairs = list(zip(self.choices, genome, strict=True))
        widths = write_numbers(tuple(number for choice, number in pairs if isinstance(choice, Choice)))
        others = (f"{choice.kind}={number}" for choice, number in pairs if not isinstance(choice, Choice))
        return ",".join((widths, *others))


def field_of(choice: FieldChoice, spec: NetworkSpec) -> str:
    """The field of a spec that a choice sets. Raises `SpecError` where its family has none."""
    for field in choice.fields:
        if field in type(spec).model_fields:
            return field
    what = "your generator" if spec.kind == "traced" else f"a {spec.kind}"
    raise SpecError(f"the {choice.kind} of {what} cannot be chosen; leave '{choice.kind}' out of its search space")


def enlarged(spec: GeneratorSpec, further: Further) -> GeneratorSpec:
    """A spec with the largest of these options and, where that changes it, one base width everywhere."""
    largest = {field_of(choice, spec): choice.options[0] for choice in further}
    fields = {**spec.model_dump(exclude={"kind", "widths"}), **largest}
    if all(getattr(spec, field) == number for field, number in largest.items()):
        return spec
    return _validated(spec.kind, largest, lambda: type(spec).uniform(1, **fields))


@lru_cache(maxsize=1024)
def form_of(spec: NetworkSpec, fields: tuple[tuple[str, int], ...]) -> Form:
    """A network with fewer blocks or smaller kernels. Raises `SpecError` where there is no such network."""
    changed = spec.model_copy(update=dict(fields))
    kept = tuple(spec.groups.index(group) for group in changed.groups)
    values = {**changed.model_dump(), "widths": tuple(spec.widths[position] for position in kept)}
    return Form(_validated(spec.kind, dict(fields), lambda: type(spec).model_validate(values)), kept)


def _validated(kind: str, fields: dict[str, int], make: Callable[[], Spec]) -> Spec:
    try:
        return make()
    except ValidationError as error:
        given = ", ".join(f"{field}={number}" for field, number in fields.items())
        raise SpecError(f"there is no {kind} with {given}; choose other options") from error
