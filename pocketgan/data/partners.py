"""Which images of two folders belong together, by their names alone."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Affixes(NamedTuple):
    """What all names of a side begin and end with."""

    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.before}*{self.after}"

    def core(self, name: str) -> str:
        """What is left of a name."""
        return name[len(self.before) : len(name) - len(self.after)]


def matching(sets: Sequence[tuple[Iterable[str], Iterable[str]]]) -> tuple[Affixes, Affixes] | None:
    """The affixes of side A and of side B without which the names of every set are the same on both sides.

    None where there are none. As `*_A` and `*_B`, `input_*` and `target_*`, or `*` and `*_mask`.
    """
    a, b = ([[*names] for names in side] for side in zip(*sets, strict=True))
    if all(set(ours) == set(theirs) for ours, theirs in zip(a, b, strict=True)):
        return Affixes("", ""), Affixes("", "")
    sides = _affixes(a), _affixes(b)
    cores = (
        [{affixes.core(name) for name in names} for names in side]
        for affixes, side in zip(sides, (a, b), strict=True)
    )
    return sides if next(cores) == next(cores) else None


def partners(a: Iterable[str], b: Iterable[str], rule: tuple[Affixes, Affixes]) -> dict[str, str]:
    """For each name of A that of its partner in B, under a rule of `matching`."""
    theirs = {rule[1].core(name): name for name in b}
    return {name: theirs[rule[0].core(name)] for name in a}


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted as people count: 2 before 10."""
    return sorted(
        names, key=lambda name: [int(s) if n % 2 else s for n, s in enumerate(re.split("([0-9]+)", name))]
    )


def _affixes(sets: Sequence[Sequence[str]]) -> Affixes:
    """The longest that end where a word or a number does and leave something of every name."""
    names = [name for own in sets for name in own]
    before = _beginning(names)
    while before and not all(_border(name, len(before)) for name in names):
        before = before[:-1]
    rest = [name[len(before) :] for name in names]
    after = _beginning([name[::-1] for name in rest])[::-1]
    while after and not all(_border(name, len(name) - len(after)) for name in rest):
        after = after[1:]
    return Affixes(before, after)


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    low, high = min(names), max(names)
    return next((low[:at] for at, sign in enumerate(low) if sign != high[at : at + 1]), low)


def _border(name: str, at: int) -> bool:
    """Whether a word or a number ends at this place within a name: in 0_A anywhere, in 12A before the A."""
    if not 0 < at < len(name):
        return False
    kinds = [2 * c.isdigit() + c.isalpha() + (c.isalpha() and c.isupper()) * 2 for c in name[at - 1 : at + 1]]
    return 0 in kinds or (kinds[0] != kinds[1] and kinds != [3, 1])
