import itertools
import os

import pytest

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import ResnetSpec
from pocketgan.search import Feasible, search


def interacting(genome, of=1.0):
    """A made-up FID. Wide layers lower it, each in its measure; a step in width between neighbours raises it."""
    measures = (3.1, 1.3, 2.2, 4.7, 0.9, 1.7, 2.8, 0.6)
    narrow = sum(measure * (32 - number) / 8 for measure, number in zip(measures, genome, strict=True))
    return 10 + narrow + of * sum(abs(a - b) / 8 for a, b in itertools.pairwise(genome))


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nothing here outlives a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def space():
    """6,561 genomes, of which 5 to 15 % fit the budgets used here."""
    return space_named("channels-32", ResnetSpec.uniform(1).mobile)


@pytest.fixture(scope="session")
def model(space):
    return CostModel(space.spec, 64)


@pytest.fixture
def find(space, model, tmp_path):
    """A search by the made-up FID under a budget that a quarter of all genomes fits."""

    def find(strategy, seed):
        path = tmp_path / f"{strategy.kind}-{seed}"
        return search(
            space,
            model,
            find.feasible.budget,
            strategy,
            lambda genomes: [{"fid": interacting(genome)} for genome in genomes],
            objective="fid",
            better="lower",
            seed=seed,
            storage=path,
        )

    low, high = (model.one(space.widths(genome))["macs"] for genome in (space.smallest, space.largest))
    find.feasible = Feasible(space, model, Budget(macs=int(low + 0.3 * (high - low))))
    return find
