"""How long to train, and the learning rate on the way."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator


class Schedule(BaseModel):
    """`constant` epochs at the full learning rate, then `decay` epochs down a straight line.

    Source: CycleGAN and GAN Compression, the 'linear' policy: factor(e) = 1 - max(0, e + 1 - N) / (D + 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    constant: NonNegativeInt
    decay: NonNegativeInt = 0
    batch_size: PositiveInt = 4

    @model_validator(mode="after")
    def _not_empty(self) -> Schedule:
        if self.epochs == 0:
            raise ValueError("constant and decay are both 0; there must be at least one epoch")
        return self

    @property
    def epochs(self) -> int:
        return self.constant + self.decay

    def factor(self, epoch: int) -> float:
        """The learning rate of an epoch (counted from 0) as a fraction of the full one."""
        return 1 - max(0, epoch + 1 - self.constant) / (self.decay + 1)
