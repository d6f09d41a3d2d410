"""Racing: a candidate that falls behind is stopped before it has seen every image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from pocketgan.metrics.bootstrap import Contributions
from pocketgan.metrics.catalog import Better
from pocketgan.networks import Genome

#: what images contribute to a genome's score, look by look: those seen up to then, at the last look all of them
Growing = Callable[[Genome], Iterator[Contributions]]


class Race(BaseModel):
    """When a candidate is stopped.

    Every candidate sees the images in one order, drawn at random. After each share of `looks` it is compared with a
    rival on the images that both have seen: the best so far, or, where the best few have children, the last of
    these. It is stopped when the interval of the mean difference lies on the wrong side. `together` candidates have
    the same rival, the best before all of them: so many processes can score side by side without moving a result.

    The guarantee: a candidate that all the images would show to be better than its rival is stopped with a
    probability of at most `error`, all looks together. It holds as far as means of what the images contribute are
    normal and a score is such a mean: an L1 is one, a Fréchet distance only about. So the winner of an exhaustive
    or random search is that of the search without a race with a probability of at least 1 - `error`. An evolution
    takes the same course as long as no survivor is stopped by mistake. The best has always seen every image, and
    so have all that are on the front, from which cheap networks with worse scores may be missing.

    What it saves grows with the number of images: about half of the generated images at 50, hardly any at 10.

    Source: Maron and Moore, "Hoeffding races", NIPS 1993; paired differences as in Moore and Lee, "Efficient
    algorithms for minimizing cross validation error", ICML 1994; Cochran, "Sampling techniques", 1977, section 2.6
    (the variance of a mean of part of a finite set).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    looks: tuple[float, ...] = (0.25, 0.5)
    error: float = Field(default=0.025, gt=0, lt=0.5)
    seed: int = 0
    together: int = Field(default=1, gt=0)


class Racer:
    """Scores genomes in a race; for `search`.

    Attributes:
        stopped: by genome, the number of images after which it was stopped; its score is that of its rival plus the
            difference on these images.
    """

    def __init__(self, race: Race, growing: Growing, *, objective: str, better: Better, survivors: int = 0) -> None:
        """growing: scores a genome look by look. survivors: of the strategy."""
        self.race, self.growing, self.objective = race, growing, objective
        self.sign = 1 if better == "lower" else -1
        self.survivors = max(1, survivors)
        self.stopped: dict[Genome, int] = {}
        self._leaders: list[tuple[float, Genome]] = []
        #: of leaders, what `growing` gave; after an interruption made again when it is needed
        self._seen: dict[Genome, list[Contributions]] = {}

    def __call__(self, genomes: Sequence[Genome]) -> list[dict[str, float]]:
        return [{self.objective: self.sign * self._loss(genome)} for genome in genomes]

    def follow(self, scored: Iterable[tuple[Genome, float]]) -> None:
        """Compare with these from now on, which have seen all images; with their scores, in the search's order."""
        losses = [(self.sign * score, genome) for genome, score in scored if np.isfinite(score)]
        # stable: of equals the first one leads
        self._leaders = sorted(losses, key=lambda leader: leader[0])[: self.survivors]
        leading = {genome for _, genome in self._leaders}
        self._seen = {genome: looks for genome, looks in self._seen.items() if genome in leading}

    def _loss(self, genome: Genome) -> float:
        rival = self._leaders[-1] if len(self._leaders) == self.survivors else None
        theirs = self._of_rival(rival[1]) if rival else []
        mine: list[Contributions] = []
        for look in self.growing(genome):
            mine.append(look)
            if rival and len(mine) < len(theirs):
                difference = self.sign * (look.generated - theirs[len(mine) - 1].generated)[0]
                error = self.race.error / (len(theirs) - 1)
                if behind(difference, theirs[-1].generated.shape[1], error):
                    self.stopped[genome] = len(difference)
                    return rival[0] + float(difference.mean())
        self._seen[genome] = mine
        return self.sign * mine[-1].value

    def _of_rival(self, genome: Genome) -> list[Contributions]:
        if genome not in self._seen:
            self._seen[genome] = [*self.growing(genome)]
        return self._seen[genome]


def behind(differences: Float[np.ndarray, " seen"], images: int, error: float) -> bool:
    """Whether the mean over all `images` lies above 0, judged by those seen; wrong with probability `error`."""
    seen = len(differences)
    if seen < 3 or not np.isfinite(differences).all():
        return False
    spread = differences.std(ddof=1) * ((1 - seen / images) / seen) ** 0.5
    return bool(differences.mean() > student(1 - error, seen - 1) * spread > 0)


def student(probability: float, freedom: int) -> float:
    """A quantile of Student's t.

    Source: Fisher and Cornish, "The percentile points of distributions having known cumulants", 1960.
    """
    z = NormalDist().inv_cdf(probability)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
