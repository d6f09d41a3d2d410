import json

import pytest

from pocketgan.errors import DataError
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.pipeline.training import Train
from pocketgan.runtime import Runtime
from pocketgan.studies import pace as pace_module
from pocketgan.studies.pace import Pace, measured
from pocketgan.training.schedule import Schedule


@pytest.fixture
def stage(paired) -> Train:
    return Train(
        task=paired,
        generator=ResnetSpec.uniform(1, blocks=1),
        discriminator=PatchSpec(width=1),
        schedule=Schedule(constant=1, batch_size=2),
    )


def test_what_is_known_is_not_measured(stage, monkeypatch):
    monkeypatch.setattr(pace_module, "measured", lambda *_: pytest.fail("measured"))
    assert Pace({"student": 0.25})("student", stage) == 0.25


def test_the_first_training_of_a_name_is_measured(stage, monkeypatch):
    seen = []
    monkeypatch.setattr(pace_module, "measured", lambda stage, runtime: seen.append(stage) or 0.1 * len(seen))
    pace = Pace()
    assert [pace(name, stage) for name in ("a", "b", "a")] == pytest.approx([0.1, 0.2, 0.1])
    assert len(seen) == 2


def test_a_file_keeps_figures_and_comes_first(tmp_path, stage, even_pace):
    file = tmp_path / "stages" / "pace.json"
    first = Pace({"given": 0.5}, file)
    assert (first("given", stage), first("new", stage)) == (0.5, 0.05)
    assert json.loads(file.read_text()) == {"given": 0.5, "new": 0.05}
    again = Pace({"given": 9.0}, file)
    assert (again("given", stage), again("new", stage)) == (0.5, 0.05)


@pytest.mark.parametrize("text", ["", "[]", '{"a": "b"}', '{"a": 0}', '{"a": -1}', '{"a": NaN}'])
def test_a_damaged_file_is_refused(tmp_path, text):
    file = tmp_path / "pace.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"pace\.json is damaged; put it back as it was") as refusal:
        Pace(file=file)
    assert "\n" not in str(refusal.value)


def test_the_mean_of_the_steps_after_the_warm_up(stage, monkeypatch):
    """A clock on which the first steps are slow and the others take 1, 3, 1, 3, 1, 3 s."""
    durations = [60.0, 60.0, *[1.0, 3.0] * 10]
    played = []

    def step() -> None:
        played.append(durations[len(played)])

    monkeypatch.setattr(pace_module, "LONG", 1e9)
    monkeypatch.setattr(pace_module, "step_of", lambda *_: step)
    monkeypatch.setattr(pace_module.time, "process_time", lambda: sum(played))
    assert measured(stage, Runtime(device="cpu")) == 2.0
    assert len(played) == 8


def test_off_the_cpu_it_is_the_clock_that_counts(stage, monkeypatch, accelerator):
    """A processor that waits for the device has nothing to do."""
    played = []
    monkeypatch.setattr(pace_module, "step_of", lambda *_: lambda: played.append(3.0))
    monkeypatch.setattr(pace_module.time, "process_time", lambda: 0.0)
    monkeypatch.setattr(pace_module.time, "perf_counter", lambda: sum(played))
    assert measured(stage, Runtime(device="cuda")) == 3.0


def test_slow_steps_are_measured_once(stage, monkeypatch):
    played = []
    monkeypatch.setattr(pace_module, "step_of", lambda *_: lambda: played.append(100.0))
    monkeypatch.setattr(pace_module.time, "process_time", lambda: sum(played))
    assert measured(stage, Runtime(device="cpu")) == 100.0
    assert len(played) == pace_module.WARM_UP + 1


def test_a_real_game_is_played(stage):
    assert 0 < measured(stage, Runtime(device="cpu")) < 60
