"""Losses that are not finite: found before the update that they would spoil, without waiting for the device.

On a CPU every loss is looked at before its gradients are taken. Elsewhere a look makes the host wait until the
device has computed all that it was given. There a flag on the device remembers such a loss and makes every update
skip itself from then on, and the losses are looked at only now and then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from pocketgan.distributed import ALONE, World
from pocketgan.errors import NonFiniteLoss

#: what a user can do
REMEDY = "Lower the learning rate, or use precision fp32, and run again"


class Finite:
    """Watches the losses of a game.

    Attributes:
        flag: 1 after a loss that was not finite, else 0; on the device. None on a CPU, where no such loss gets by.
            It is what PyTorch's fused optimizers know as `found_inf`.
    """

    def __init__(self) -> None:
        self.flag: Tensor | None = None
        self._since: list[_Seen] = []  # those that nobody has looked at, in order
        self._flagged = 0  # of these, how many the flag knows

    def place(self, device: torch.device) -> None:
        """Where losses are from now on."""
        self.flag = None if device.type == "cpu" else torch.zeros((), device=device)

    def see(self, loss: Tensor, whose: str, terms: Mapping[str, Tensor] | None = None) -> None:
        """A loss, the sum of these terms, before its gradients are taken. On a CPU raises `NonFiniteLoss` for one
        that is not finite."""
        self._since.append(_Seen(whose, loss.detach(), {n: term.detach() for n, term in (terms or {}).items()}))
        if self.flag is None:
            self.check()  # a look costs nothing here

    def before_update(self) -> None:
        """Set the flag if one of the losses that led to this update was not finite."""
        if self.flag is not None and self._flagged < len(self._since):
            losses = torch.stack([seen.loss for seen in self._since[self._flagged :]])
            self._flagged = len(self._since)
            self.flag.logical_or_(losses.isfinite().all().logical_not())

    @contextmanager
    def shared(self, world: World) -> Iterator[list[Tensor]]:
        """The flag, if there is one, to be averaged over all processes; it is then set where any of them set it."""
        flag = [] if self.flag is None or world.size == 1 else [self.flag]
        yield flag
        for each in flag:
            each.copy_(each > 0)

    def check(self, world: World = ALONE) -> None:
        """Raises `NonFiniteLoss` if a loss since the last check was not finite, and says which. Off the CPU it is
        collective, and all processes of the `world` raise the same."""
        self.before_update()
        seen, self._since, self._flagged = self._since, [], 0
        if self.flag is not None and not (seen and self.flag.item()):
            return  # one number says it for all of them
        found = [_complaint(seen)] if self.flag is None else world.gather(_complaint(seen))
        for complaint in filter(None, found):
            raise NonFiniteLoss(complaint)


class _Seen(NamedTuple):
    """A loss that was seen, and the terms of which it is the sum."""

    whose: str
    loss: Tensor
    terms: dict[str, Tensor]


def _complaint(losses: Iterable[_Seen]) -> str:
    """Which of these is not finite, and what to do; empty where all are."""
    for whose, loss, terms in losses:
        if not math.isfinite(value := loss.item()):
            bad = [name for name, term in terms.items() if not math.isfinite(term.item())]
            which = f" ({', '.join(bad)})" if bad else ""
            return f"the loss of {whose} became {value}{which}; training stopped before the update. {REMEDY}"
    return ""
