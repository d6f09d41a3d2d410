"""Which subnets of a supernet one training step visits, and at which resolution.

Source: GAN Compression, CVPR 2020, section 3.3 (one, uniformly); Yu & Huang, Universally Slimmable Networks,
ICCV 2019, section 3.3 (the sandwich rule); Cai et al., Once-for-All, ICLR 2020, section 3.2 (resolution).
"""

from __future__ import annotations

from random import Random
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from pocketgan.elastic.space import Options, SearchSpace
from pocketgan.errors import SpecError
from pocketgan.networks import Genome, NetworkSpec
from pocketgan.units import Size


class UniformSampling(BaseModel):
    """`subnets` subnets a step, each choice of each drawn uniformly; one, as published, unless you say otherwise.

    Several share what a step does once: the teacher's forward, and the discriminator's look at the real images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["uniform"] = "uniform"
    #: left out of JSON at 1, so that what was trained before there was a choice keeps its address
    subnets: PositiveInt = Field(default=1, exclude_if=lambda subnets: subnets == 1)

    def draw(self, space: SearchSpace, rng: Random) -> tuple[Genome, ...]:
        """The genomes of one step."""
        return tuple(space.sample(rng) for _ in range(self.subnets))


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


class LevelSampling(BaseModel):
    """The largest subnet, the smallest one and `random` ones from in between a step, small ones as often as wanted.

    Uniform choices make nearly all subnets of a middling size. Here a level is drawn first, 0 for the largest
    subnet to 1 for the smallest, and each choice is an option next to that level. `favour`: how many times as often
    the small half is visited as the large one; small subnets are the harder ones to train. `ends`: whether a step
    visits the largest and the smallest too; without them it costs no more than one subnet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["levels"] = "levels"
    random: NonNegativeInt = 1
    favour: PositiveFloat = 2.0
    #: left out of JSON where it is True, so that what was trained before there was a choice keeps its address
    ends: bool = Field(default=True, exclude_if=lambda ends: ends)

    @model_validator(mode="after")
    def _not_empty(self) -> LevelSampling:
        if not (self.ends or self.random):
            raise ValueError("a step without both ends visits what is drawn; set random to 1 or more")
        return self

    def draw(self, space: SearchSpace, rng: Random) -> tuple[Genome, ...]:
        """The genomes of one step: largest and smallest where they are wanted, then the drawn ones."""
        ends = (space.largest, space.smallest) if self.ends else ()
        return (*ends, *(self._between(space, rng) for _ in range(self.random)))

    def _between(self, space: SearchSpace, rng: Random) -> Genome:
        small = rng.random() < self.favour / (1 + self.favour)
        level = (rng.random() + small) / 2
        # rounded up or down at random, so that the subnets of a level differ
        return tuple(c.options[int(level * (len(c.options) - 1) + rng.random())] for c in space.choices)


class ResolutionSampling(BaseModel):
    """Every step at one of several sizes, drawn uniformly, for all subnets that `of` has it visit.

    `sizes`: the shorter side of the images in pixels, largest first; the longer one is in proportion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["resolution"] = "resolution"
    sizes: Options
    of: Annotated[UniformSampling | SandwichSampling | LevelSampling, Field(discriminator="kind")] = (
        UniformSampling()
    )

    def draw(self, space: SearchSpace, rng: Random) -> tuple[Genome, ...]:
        """The genomes of one step."""
        return self.of.draw(space, rng)

    def size(self, whole: Size, rng: Random) -> Size:
        """Height and width of one step, for images of the size `whole`."""
        return _scaled(whole, rng.choice(self.sizes))

    def every(self, whole: Size) -> tuple[Size, ...]:
        """Heights and widths of all that a step may have, for images of the size `whole`."""
        return tuple(_scaled(whole, side) for side in self.sizes)

    def check(self, spec: NetworkSpec, whole: Size) -> None:
        """Raise `SpecError` unless all sizes are at most `whole` and such as the network can take."""
        if self.sizes[0] > min(whole):
            raise SpecError(
                f"a resolution of {self.sizes[0]} is larger than the images, whose shorter side is {min(whole)}; "
                "leave it out or raise the size of the task"
            )
        for size in self.every(whole):
            spec.check_size(*size)


def _scaled(whole: Size, shorter: int) -> Size:
    height, width = (round(side * shorter / min(whole)) for side in whole)
    return height, width


#: every way of sampling, for reading settings from JSON
AnySampling = Annotated[
    UniformSampling | SandwichSampling | LevelSampling | ResolutionSampling, Field(discriminator="kind")
]
