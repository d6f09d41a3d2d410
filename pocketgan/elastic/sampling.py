"""Which subnets of a supernet one training step visits.

Source: GAN Compression, CVPR 2020, section 3.3 (one, uniformly); Yu & Huang, Universally Slimmable Networks,
ICCV 2019, section 3.3 (the sandwich rule).
"""

from __future__ import annotations

from random import Random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import Genome


class UniformSampling(BaseModel):
    """One subnet a step, each choice drawn uniformly: the published way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["uniform"] = "uniform"

    def draw(self, space: SearchSpace, rng: Random) -> tuple[Genome, ...]:
        """The genomes of one step."""
        return (space.sample(rng),)


class SandwichSampling(BaseModel):
    """The largest subnet, the smallest one and `random` uniform ones a step.

    Both ends of the space learn at every step; uniform draws rarely come near them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sandwich"] = "sandwich"
    random: NonNegativeInt = 2

    def draw(self, space: SearchSpace, rng: Random) -> tuple[Genome, ...]:
        """The genomes of one step: largest, smallest, then the drawn ones."""
        return (space.largest, space.smallest, *(space.sample(rng) for _ in range(self.random)))


#: every way of sampling, for reading settings from JSON
AnySampling = Annotated[UniformSampling | SandwichSampling, Field(discriminator="kind")]
