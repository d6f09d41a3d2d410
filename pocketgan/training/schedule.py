"""How long to train, and the learning rate on the way."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator


@runtime_checkable
class Rates(Protocol):
    """What a training asks of a schedule."""

    @property
    def epochs(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    def factor(self, epoch: int, step: int = 0) -> float:
        """The learning rate in an epoch, and at a step of the whole training (both from 0), as a fraction of the
        full one."""
        ...


class Schedule(BaseModel):
    """`constant` epochs at the full learning rate, then `decay` epochs down a straight line.

    `halving`: besides, the learning rate halves every so many steps.

    Source: CycleGAN and GAN Compression, the 'linear' policy: factor(e) = 1 - max(0, e + 1 - N) / (D + 1); MUNIT,
    the 'step' policy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    constant: NonNegativeInt
    decay: NonNegativeInt = 0
    batch_size: PositiveInt = 4
    halving: PositiveInt | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Schedule:
        if self.epochs == 0:
            raise ValueError("constant and decay are both 0; there must be at least one epoch")
        return self

    @property
    def epochs(self) -> int:
        return self.constant + self.decay

    def factor(self, epoch: int, step: int = 0) -> float:
        """The learning rate in an epoch, and at a step of the whole training (both from 0), as a fraction of the
        full one."""
        linear = 1 - max(0, epoch + 1 - self.constant) / (self.decay + 1)
        return linear * 0.5 ** (step // self.halving if self.halving else 0)
