"""Every error that PocketGAN raises on purpose, and how it speaks without one.

    PocketGANError
    ├── UserError        the user can mend it: one line, exit code 2
    │   ├── SpecError    a network, space, recipe or setting that does not exist or does not fit
    │   ├── DataError    images, pairs and folders
    │   ├── BudgetError  a budget that cannot be read or met
    │   ├── OutputError  a place that cannot be written, or that belongs to somebody else
    │   └── OutOfMemory  work that needs more memory than there is
    ├── NonFiniteLoss    training diverged; stopped before the update
    └── LostProcess      another process of the run has ended

A message states the rule, the value and the remedy, in the user's words.
"""

import logging
from collections.abc import Iterable
from difflib import get_close_matches


class PocketGANError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class UserError(PocketGANError):
    """Something that the user can mend."""

    exit_code = 2


class SpecError(UserError):
    """An unknown or impossible network, space, recipe or setting."""


class DataError(UserError):
    """Images or folders that cannot be used as they are."""


class BudgetError(UserError):
    """A budget that cannot be read or cannot be met."""


class OutputError(UserError):
    """A destination that cannot be written or belongs to another run."""


class OutOfMemory(UserError):
    """Work that needs more memory than there is; with what may become smaller.

    Attributes:
        batch: the images of one step, where that is it.
    """

    def __init__(self, what: str, batch: int = 1, setting: str = "SCHEDULE.batch_size") -> None:
        remedy = f"add --set {setting}={batch // 2}" if batch > 1 else "choose a smaller --size or network"
        super().__init__(f"{what} than there is; {remedy}")
        self.what, self.batch = what, batch


class NonFiniteLoss(PocketGANError):
    """A loss became NaN or infinite; nothing was updated with it."""


class LostProcess(PocketGANError):
    """Another process of the run has ended, and this one cannot go on without it."""


def note(text: str) -> None:
    """Tell the user in one line of what was met and mended: on stderr, unless the program logs elsewhere."""
    logging.getLogger("pocketgan").warning("note: %s", text)


def unknown(what: str, name: str, known: Iterable[str]) -> SpecError:
    """The error for a name that does not exist: with the nearest known ones, or where none is near, with some."""
    known = sorted(known)
    if near := get_close_matches(str(name), known, n=3, cutoff=0.5):
        return SpecError(f"unknown {what} '{name}'; did you mean {' or '.join(near)}?")
    more = f" and {len(known) - 6} more" if len(known) > 6 else ""
    return SpecError(f"unknown {what} '{name}'; there are {', '.join(known[:6])}{more}")
