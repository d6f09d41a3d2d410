"""What the tests of studies share: small pairs with and without their pairing, and a pace that nobody measures."""

from pathlib import Path

import pytest

from pocketgan.data.task import Task, open_task
from pocketgan.pipeline.store import Store
from pocketgan.search import Nsga2
from pocketgan.studies import pace, search_baselines, shrinking
from pocketgan.studies.setting import Setting


@pytest.fixture
def paired(pairs: Path) -> Task:
    return open_task(pairs, size=24)


@pytest.fixture
def unpaired(pairs: Path) -> Task:
    return open_task(pairs, size=24, unpaired=True)


@pytest.fixture
def even_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step takes 0.05 s."""
    monkeypatch.setattr(pace, "measured", lambda stage, runtime: 0.05)


@pytest.fixture
def toy(paired: Task) -> Setting:
    """Two epochs of one step a training."""
    return Setting(task=paired, seconds=0.1, teacher_width=16, discriminator_width=2)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for all studies: what they have in common is trained once."""
    return Store(tmp_path_factory.mktemp("toys"))


@pytest.fixture
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches of a handful of subnets."""
    monkeypatch.setattr(search_baselines, "OPTIONS", ((12, 4),) * 4 + ((4,),) * 4)
    monkeypatch.setattr(shrinking, "SEARCH", Nsga2(population=4, generations=1))
