"""OMGD's game without pairs: whose turn it is, which teacher is imitated, and that a stop changes nothing."""

import json
import random

import pytest
import torch

from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.objectives.bursts import BurstDistiller, BurstSettings, Turn, turns
from pocketgan.objectives.cycle import CycleGan, CycleGanSettings
from pocketgan.objectives.online import OnlineDistiller, OnlineSettings
from pocketgan.training.state import load_state, save_state
from tests.objectives import test_games, test_golden
from tests.objectives.toys import IMAGES_JUDGE, STUDENT, TEACHER, Seer, batch, filled, play, same, tensors

NAN, INF = float("nan"), float("inf")


class Judge:
    """Gives the marks that it was told to give, and keeps what it judged."""

    def __init__(self, *marks: float) -> None:
        self.marks, self.judged = list(marks), []

    def __call__(self, network) -> float:
        assert not network.training
        self.judged.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return self.marks.pop(0) if self.marks else 0.0


def bursts(
    *, judge=None, epochs: int = 6, epoch_steps: int = 1, supernet: bool = False, lr: float = 2e-4, **settings
) -> BurstDistiller:
    teaching = CycleGanSettings(lr=lr, pool=2)
    made = BurstSettings(teaching=teaching, lr=lr, **{"every": 1, "n_dis": 1, **settings})
    space = uniform_space(STUDENT, (3, 2, 1)) if supernet else None
    spec = space.spec if space else STUDENT
    connectors = ChannelConnectors({t: (spec.tap_channels(t), TEACHER.tap_channels(t)) for t in spec.taps})
    return BurstDistiller(
        made,
        filled(Supernet(spec) if space else spec.build(), 0.45),
        *(filled(TEACHER.build(), phase) for phase in (0.1, 0.7)),
        *(filled(IMAGES_JUDGE.build(), phase) for phase in (0.2, 0.8)),
        epochs=epochs,
        epoch_steps=epoch_steps,
        teacher_score=judge or Judge(),
        connectors=filled(connectors, 0.5),
        perceptual=filled(Seer(), 2.0),
        space=space,
    )


GAMES = {"bursts": (bursts, {}), "bursts-supernet": (bursts, dict(supernet=True))}
games = pytest.mark.parametrize("name", GAMES)


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    """What holds for every game is asked of these too."""
    for name, entry in GAMES.items():
        monkeypatch.setitem(test_golden.GAMES, name, entry)


@games
@pytest.mark.parametrize(
    "check",
    [
        test_golden.test_losses_are_those_on_record,
        test_games.test_losses_are_numbers_without_gradients,
        test_games.test_products_are_whole_networks,
        test_games.test_lower_precision_reaches_every_network,
    ],
    ids=lambda check: check.__name__.removeprefix("test_"),
)
def test_it_is_a_game(name, check):
    check(name)


@games
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(name, stop, tmp_path):
    """Stopped after the teachers' turn, before the choice is made; and within the student's."""
    make, settings = GAMES[name]
    whole, first, second = (make(every=1, n_dis=2, **settings) for _ in range(3))
    losses = play(whole, 6)
    play(first, stop)
    save_state(first.state_dict(), tmp_path / "state")
    second.load_state_dict(load_state(tmp_path / "state"))
    assert play(second, 6 - stop, first=stop) == losses[stop:]
    assert same(tensors(whole), tensors(second))


def test_turns():
    found = turns(5, BurstSettings(every=2, n_dis=2))
    twice = [True] * 2 + [False] * 4
    assert [turn.teaches for turn in found] == twice + twice + [True] + [False] * 2
    assert [i for i, turn in enumerate(found) if turn.first] == [0, 2, 6, 8, 12, 13]
    assert [turn.teacher_epoch for turn in found] == [0, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 4, 4]
    assert found[0] == Turn(True, True, 0)


def test_whose_turn_a_step_is():
    game = bursts(epoch_steps=3, every=2, n_dis=1, epochs=2)
    assert [game.turn(step) for step in range(1, 13)] == [True] * 6 + [False] * 6
    assert [game.labelled(step) for step in range(1, 13)] == [True] * 6 + [False] * 6


def test_teachers_play_cyclegan_and_nothing_else():
    game = bursts(every=3)
    plain = CycleGan(
        CycleGanSettings(pool=2),
        *(filled(TEACHER.build(), phase) for phase in (0.1, 0.7)),
        *(filled(IMAGES_JUDGE.build(), phase) for phase in (0.2, 0.8)),
    )
    assert play(game, 3) == play(plain, 3)
    before = tensors(plain)
    play(game, 3, first=3)  # the student's turn
    after = tensors(game.teaching)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert play(game, 3, first=6) == play(plain, 3, first=6)


def test_the_best_teacher_is_imitated():
    """Marks 3, 1, 2: the second one is kept for the third turn too; the teachers go on from where they were."""
    judge = Judge(3.0, 1.0, 2.0)
    game = bursts(judge=judge)
    kept = []
    for number in range(6):
        play(game, 1, first=number)
        kept.append({name: tensor.clone() for name, tensor in game.products["teacher"].state_dict().items()})
    assert len(judge.judged) == 3
    assert same(kept[1], judge.judged[0])
    assert same(kept[3], judge.judged[1])
    assert same(kept[5], judge.judged[1])
    assert not same(judge.judged[1], judge.judged[2])


@pytest.mark.parametrize(
    ("marks", "kept"),
    [
        ((NAN, NAN, NAN), (0, 0, 0)),
        ((NAN, 2.0, 1.0), (0, 1, 2)),
        ((2.0, NAN, 1.0), (0, 0, 2)),
        ((INF, INF, 3.0), (0, 0, 2)),
    ],
)
def test_a_score_that_is_no_number_is_the_worst(marks, kept, tmp_path):
    """The first teacher is kept all the same, not its random beginning; also after a stop before the choice."""
    judge = Judge(*marks)
    game = bursts(judge=judge)
    play(game, 1)
    save_state(game.state_dict(), tmp_path / "state")
    game = bursts(judge=judge)
    game.load_state_dict(load_state(tmp_path / "state"))
    for turn, number in enumerate(kept):
        play(game, 1, first=2 * turn + 1)
        assert same(dict(game.products["teacher"].state_dict()), judge.judged[number])
        play(game, 1, first=2 * turn + 2) if turn < 2 else None


def test_the_student_learns_as_from_any_finished_teacher():
    """Its turn is a step of the online game whose teachers are finished; real images are not looked at."""
    settings = dict(style=100.0, channel=3.0)
    game = bursts(**settings)
    play(game, 1)
    taught = filled(TEACHER.build(), 0.0)
    taught.load_state_dict(game.players["generator"].state_dict())
    spec = STUDENT
    connectors = ChannelConnectors({t: (spec.tap_channels(t), TEACHER.tap_channels(t)) for t in spec.taps})
    other = OnlineDistiller(
        OnlineSettings(n_dis=0, **settings),
        filled(STUDENT.build(), 0.45),
        None,
        wide=taught,
        connectors=filled(connectors, 0.5),
        perceptual=filled(Seer(), 2.0),
    )
    given = batch(1)
    mine = game.step(given._replace(y=given.y[:0]), random.Random(1))
    theirs = other.step(given, random.Random(1))
    assert {name.removesuffix("_best"): loss for name, loss in mine.items()} == {
        name.removesuffix("_wide"): loss for name, loss in theirs.items()
    }
    assert same(dict(game.generator.state_dict()), dict(other.generator.state_dict()))


def test_settings_survive_json():
    settings = BurstSettings(every=4)
    assert settings.kind == "bursts"
    assert (settings.n_dis, settings.ssim, settings.style, settings.channel) == (4, 10, 1e4, 100)
    assert BurstSettings.model_validate_json(settings.model_dump_json()) == settings


if __name__ == "__main__":
    # puts new curves on record: `python -m tests.objectives.test_bursts`
    test_golden.GAMES.update(GAMES)
    for game in GAMES:
        (test_golden.FOLDER / f"{game}.json").write_text(json.dumps(test_golden.curve(game), indent=1) + "\n")
