"""Verdicts on made-up evaluations, of which the truth is known."""

import numpy as np
import pytest

from pocketgan.metrics.bootstrap import Contributions
from pocketgan.metrics.evaluation import Evaluation, worst_of
from pocketgan.metrics.pool import pool
from pocketgan.report.study import CurveMember
from pocketgan.studies.study import Claim
from pocketgan.studies.verdicts import curve_of, curve_verdicts, verdicts

IMAGES = 200
NAMES = [f"{number:03}" for number in range(IMAGES)]
CLAIM = Claim(better="new", worse="old")


def evaluation(l1: np.ndarray) -> Evaluation:
    """Of one model: these L1 distances, and a SSIM that is 1 less each of them."""
    values = {"l1": l1, "ssim": 1 - l1}
    per_image = {name: each.tolist() for name, each in values.items()}
    return Evaluation(
        scores={name: float(each.mean()) for name, each in values.items()},
        per_image=per_image,
        names=NAMES,
        worst=worst_of(per_image, NAMES),
        contributions={name: Contributions(each[None]) for name, each in values.items()},
    )


def recipe(*means: float) -> Evaluation:
    """A model for each mean; some images are harder than others for all of them."""
    hardness = np.random.default_rng(7).normal(0, 0.1, IMAGES)
    return pool([evaluation(mean + hardness) for mean in means])


@pytest.mark.parametrize(
    ("new", "outcome"),
    [((0.30, 0.31, 0.29), "seen"), ((0.50, 0.51, 0.49), "not seen"), ((0.45, 0.30, 0.46), "may be noise")],
)
def test_the_three_outcomes(new, outcome):
    pooled = {("old", "1 %"): recipe(0.40, 0.41, 0.39), ("new", "1 %"): recipe(*new)}
    found = {verdict.metric: verdict for verdict in verdicts([CLAIM], pooled)}
    assert found.keys() == {"l1", "ssim"}
    assert [found[name].outcome for name in ("l1", "ssim")] == [outcome] * 2, "lower and higher alike"
    members = [[each["l1"] for each in pooled[series, "1 %"].members] for series in ("new", "old")]
    assert found["l1"].difference == pytest.approx(np.mean(members[0]) - np.mean(members[1]))
    assert found["l1"].seeds_for == found["ssim"].seeds_for == sum(a < b for a, b in zip(*members, strict=True))
    assert found["l1"].seeds == 3


def test_of_one_seed_the_same_images_speak_for_both():
    """Images differ by far more than the methods do, but alike for both: the difference is sure."""
    old = np.random.default_rng(0).normal(0.5, 0.2, IMAGES)
    pooled = {("old", "p"): pool([evaluation(old)]), ("new", "p"): pool([evaluation(old - 0.01)])}
    (verdict, _) = verdicts([CLAIM], pooled)
    assert verdict.interval == pytest.approx((-0.01, -0.01))
    assert (verdict.outcome, verdict.seeds_for, verdict.seeds) == ("seen", 1, 1)


def test_claims_hold_at_their_places():
    one = recipe(0.4, 0.41)
    pooled = {(series, place): one for series in ("old", "new") for place in ("3 %", "1 %")}
    pooled |= {("new", "6 %"): one, ("other", "1 %"): one}

    def places(*claims: Claim) -> list[str]:
        return [verdict.place for verdict in verdicts(claims, pooled) if verdict.metric == "l1"]

    assert places(CLAIM) == ["3 %", "1 %"], "wherever both are"
    assert places(Claim(better="new", worse="old", places=("1 %",))) == ["1 %"]
    assert places(Claim(better="new", worse="missing")) == []


def member(seed: int, *best: float) -> CurveMember:
    return CurveMember(seed=seed, best=best, processor_seconds=1.0, digest="d")


def test_curves_are_means_over_seeds():
    curve = curve_of("random", "all", (member(0, 9, 5, 4), member(1, 7, 6), member(2, 8, 8, 2)))
    assert curve.mean == pytest.approx((8, 19 / 3, 4)), "a search that ended keeps its best"
    for value, (low, high) in zip(curve.mean, curve.intervals, strict=True):
        assert low < value < high
    # of three values the outermost resamples are three times the largest and three times the smallest one, with
    # deviations as much larger as those of two of three are on average smaller
    stretch = (3 / 2) ** 0.5
    assert curve.intervals[0] == pytest.approx((8 - stretch, 8 + stretch))


def test_curves_of_one_seed_have_no_width():
    curve = curve_of("random", "all", (member(0, 3, 2),))
    assert curve.intervals == ((3, 3), (2, 2))


@pytest.mark.parametrize(
    ("ends", "outcome", "seeds_for"),
    [((1.0, 1.1, 0.9), "seen", 3), ((9.0, 9.1, 8.9), "not seen", 0), ((4.0, 6.0, 5.05), "may be noise", 1)],
)
def test_searches_are_compared_at_their_end(ends, outcome, seeds_for):
    old = curve_of("old", "all", tuple(member(seed, 20, end) for seed, end in enumerate((5.0, 5.1, 4.9))))
    new = curve_of("new", "all", tuple(member(seed, 30, end) for seed, end in enumerate(ends)))
    (verdict,) = curve_verdicts([CLAIM], "fd_mobilenet_v2", [old, new])
    assert (verdict.outcome, verdict.seeds_for, verdict.seeds) == (outcome, seeds_for, 3)
    assert verdict.difference == pytest.approx(np.mean(ends) - 5)
