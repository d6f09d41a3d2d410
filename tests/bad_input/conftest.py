"""What the mistakes share: how a refusal looks, a job to spoil, its data and its place."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree

import pytest

from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec
from tests.conftest import TOY, Outcome

Cli = Callable[..., Outcome]


def refused(outcome: Outcome, *parts: str, code: int = 2) -> None:
    """The command ended with this code and one line on stderr, in which the parts stand in this order."""
    assert "Traceback" not in outcome.out + outcome.err
    assert outcome.code == code, outcome
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("pocketgan: ")
    assert re.search(".*".join(map(re.escape, parts)), lines[0]), lines[0]


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def toy(data: Path, out: Path, *more: object, budget: str = "1G", size: object = 24) -> tuple[object, ...]:
    """The words of a job at toy size."""
    return ("compress", data, "--budget", budget, "--size", size, "--out", out, *TOY, *more)


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A run folder below a folder, neither of which is there; nor afterwards."""
    yield tmp_path / "runs" / "out"
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def data(pairs: Path, tmp_path: Path) -> Path:
    """A copy of the pairs, to be spoilt."""
    return copytree(pairs, tmp_path / "pairs")


@pytest.fixture
def no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured beforehand."""
    monkeypatch.setattr(
        "pocketgan.runs.run.estimate_seconds",
        lambda recipe, store, runtime: dict.fromkeys(recipe.all_stages, 0.0),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; not to be changed."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(folder, ResnetSpec.uniform(2, blocks=1).build(), {"size": 24, "direction": "AtoB"})
    return folder
