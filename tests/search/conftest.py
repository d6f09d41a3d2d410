import os

import pytest

from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import resnet_space


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nothing here outlives a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def space():
    """6,561 genomes, of which 5 to 15 % fit the budgets used here."""
    return resnet_space("channels-32")


@pytest.fixture(scope="session")
def model(space):
    return CostModel(space.spec, 64)
