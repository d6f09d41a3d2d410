"""The loop: whatever stops it, it goes on as if nothing had."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketgan.data.batches import Batch
from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import NonFiniteLoss
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import PatchSpec, ResnetSpec, init_normal
from pocketgan.objectives.base import Losses, Objective
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.runtime import Runtime
from pocketgan.training.fit import fit
from pocketgan.training.log import read_log
from pocketgan.training.schedule import Schedule
from pocketgan.training.state import load_state
from tests.objectives.toys import batch, same, tensors

SCHEDULE = Schedule(constant=1, decay=2, batch_size=2)
EPOCH = 3
TOTAL = SCHEDULE.epochs * EPOCH
JUDGE = PatchSpec(width=2, layers=1)


def seeded(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    return init_normal(network, torch.Generator().manual_seed(seed), std=0.2)


def pix2pix() -> Pix2Pix:
    """Dropout draws from PyTorch's global stream, batch norm keeps statistics."""
    spec = ResnetSpec.uniform(2, blocks=1, dropout=0.5, norm="batch")
    return Pix2Pix(Pix2PixSettings(lr=1e-2), seeded(spec.build(), 1), seeded(JUDGE.build(), 2))


def distiller() -> Distiller:
    """The widths are drawn from the step's own stream."""
    space = uniform_space(ResnetSpec.uniform(1, blocks=1, separable=("residual",)), (3, 2, 1))
    teacher = seeded(ResnetSpec.uniform(2, blocks=1).build(), 3)
    adaptors = seeded(Adaptors(dict.fromkeys(space.spec.taps, (12, 8))), 4)
    student = Supernet(space.spec)
    seeded(student.network, 5)
    return Distiller(DistilSettings(lr=1e-2), teacher, student, adaptors, seeded(JUDGE.build(), 6), space)


GAMES = {"pix2pix": pix2pix, "distiller": distiller}
games = pytest.mark.parametrize("make", GAMES.values(), ids=GAMES)


def batches(epoch: int, first: int) -> Iterator[Batch]:
    for step in range(first, EPOCH):
        b = batch(epoch * EPOCH + step)
        yield Batch(b.x.float(), b.y.float(), b.names)


def train(game: Objective, folder: Path, seconds: float = 0.0, log_steps: int = 1, **more: Any) -> None:
    folder.mkdir(exist_ok=True)
    settings: dict[str, Any] = dict(
        epoch_batches=batches,
        steps_per_epoch=EPOCH,
        schedule=SCHEDULE,
        seed=7,
        precision="fp32",
        runtime=Runtime(device="cpu", checkpoint_seconds=seconds, log_steps=log_steps),
        folder=folder,
    )
    fit(game, **(settings | more))


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = read_log(folder / "log.jsonl")
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


def stopping_at(step: int) -> Callable[[int, int], None]:
    """A progress callback that breaks off after that step, before it is saved."""

    def progress(done: int, total: int) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


def break_within(game: Objective, call: int, part: str) -> None:
    """Break off in the middle of a step: where this player would be updated the call-th time."""
    optimizer, calls = game.optimizers[part], 0
    update = optimizer.step

    def step(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return update(*args, **kwargs)

    optimizer.step = step


@pytest.fixture(scope="module", params=GAMES)
def uninterrupted(request, tmp_path_factory):
    """A game's name, its state and its log after a training that nothing stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    game = GAMES[request.param]()
    train(game, folder)
    return request.param, tensors(game), log_of(folder)


def finish(name: str, folder: Path, wanted_state, wanted_log) -> None:
    game = GAMES[name]()
    train(game, folder)
    assert same(tensors(game), wanted_state)
    assert log_of(folder) == wanted_log


def test_the_uninterrupted_training_itself(uninterrupted):
    name, state, log = uninterrupted
    assert not same(tensors(GAMES[name]()), state)
    assert [(line["step"], line["epoch"]) for line in log] == [(i + 1, i // EPOCH) for i in range(TOTAL)]
    assert all(len(line) == {"pix2pix": 6, "distiller": 7}[name] for line in log)


@pytest.mark.parametrize("step", range(1, TOTAL + 1))
def test_stopped_after_any_step(uninterrupted, step, tmp_path):
    name, *wanted = uninterrupted
    with pytest.raises(KeyboardInterrupt):
        train(GAMES[name](), tmp_path, progress=stopping_at(step))
    assert (tmp_path / "state").exists() == (step > 1)
    finish(name, tmp_path, *wanted)


@pytest.mark.parametrize("call", [1, 2, 3, 4, TOTAL])
def test_stopped_within_any_step(uninterrupted, call, tmp_path):
    """Half the players may have been updated."""
    name, *wanted = uninterrupted
    game = GAMES[name]()
    break_within(game, call, {"pix2pix": "generator", "distiller": "student"}[name])
    with pytest.raises(KeyboardInterrupt):
        train(game, tmp_path)
    assert (tmp_path / "state").exists() == (call > 1)
    finish(name, tmp_path, *wanted)


@pytest.mark.parametrize("seed", range(3))
def test_stopped_again_and_again(uninterrupted, seed, tmp_path):
    name, *wanted = uninterrupted
    for step in sorted(random.Random(seed).sample(range(1, TOTAL + 1), 5)):
        with pytest.raises(KeyboardInterrupt):
            train(GAMES[name](), tmp_path, progress=stopping_at(step))
    finish(name, tmp_path, *wanted)


def test_stopped_before_the_first_checkpoint(uninterrupted, tmp_path):
    name, *wanted = uninterrupted
    with pytest.raises(KeyboardInterrupt):
        train(GAMES[name](), tmp_path, seconds=1e9, progress=stopping_at(5))
    assert not (tmp_path / "state").exists()
    finish(name, tmp_path, *wanted)


def test_stopped_while_drawing_samples(uninterrupted, tmp_path):
    name, *wanted = uninterrupted
    drawn: list[int] = []

    def sample(epoch: int) -> None:
        if epoch == 2 and len(drawn) == 1:
            drawn.append(-epoch)
            raise KeyboardInterrupt
        drawn.append(epoch)

    with pytest.raises(KeyboardInterrupt):
        train(GAMES[name](), tmp_path, sample=sample)
    train(GAMES[name](), tmp_path, sample=sample)
    assert drawn == [1, -2, 2, 3]
    finish(name, tmp_path, *wanted)


def test_global_randomness_does_not_matter(uninterrupted, tmp_path):
    name, *wanted = uninterrupted
    torch.manual_seed(1234)
    random.seed(1234)
    torch.rand(5)
    finish(name, tmp_path, *wanted)


@games
def test_the_seed_does(make, tmp_path):
    first, second = make(), make()
    train(first, tmp_path / "a", seed=1)
    train(second, tmp_path / "b", seed=2)
    assert not same(tensors(first), tensors(second))


def test_log_cadence(tmp_path):
    train(pix2pix(), tmp_path, log_steps=4)
    assert [line["step"] for line in log_of(tmp_path)] == [4, 8, TOTAL]
    assert all(line["images_per_second"] > 0 for line in read_log(tmp_path / "log.jsonl"))


def test_learning_rates_follow_the_schedule(tmp_path):
    game, rates = pix2pix(), []
    train(
        game,
        tmp_path,
        progress=lambda done, total: rates.append(game.optimizers["generator"].param_groups[0]["lr"]),
    )
    assert rates == pytest.approx([1e-2] * 3 + [1e-2 * 2 / 3] * 3 + [1e-2 / 3] * 3)


def test_a_loss_that_is_not_finite_keeps_the_state_before_it(uninterrupted, tmp_path):
    name, *wanted = uninterrupted

    def broken(epoch: int, first: int) -> Iterator[Batch]:
        for step, b in enumerate(batches(epoch, first), epoch * EPOCH + first):
            yield b._replace(x=b.x * float("nan")) if step == 4 else b

    with pytest.raises(NonFiniteLoss):
        train(GAMES[name](), tmp_path, epoch_batches=broken)
    assert load_state(tmp_path / "state" / "state.safetensors")["step"] == 4
    finish(name, tmp_path, *wanted)


def test_a_weight_that_is_not_finite_is_never_saved(tmp_path):
    """Its loss was: a gradient alone was not."""

    def broken(step: int) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if done == step:
                next(game.players["generator"].parameters()).data[0] = float("nan")

        return progress

    for step, saved in ((5, 4), (TOTAL, TOTAL - 1)):
        game = pix2pix()
        with pytest.raises(NonFiniteLoss, match="weights of generator became NaN or infinite; training stopped"):
            train(game, tmp_path / str(step), progress=broken(step))
        assert load_state(tmp_path / str(step) / "state" / "state.safetensors")["step"] == saved


def test_the_terms_that_are_not_finite_are_named(tmp_path):
    game = pix2pix()
    game.settings = game.settings.model_copy(update={"recon": float("inf")})
    with pytest.raises(NonFiniteLoss, match=r"^the loss of generator became inf \(G_recon\); training stopped"):
        train(game, tmp_path)


def test_a_damaged_state_costs_the_steps_since_the_one_before(uninterrupted, tmp_path):
    name, *wanted = uninterrupted
    with pytest.raises(KeyboardInterrupt):
        train(GAMES[name](), tmp_path, progress=stopping_at(6))
    state, resumed = tmp_path / "state" / "state.safetensors", []
    content = bytearray(state.read_bytes())
    content[-9] ^= 1  # of a tensor
    state.write_bytes(content)
    game = GAMES[name]()
    train(game, tmp_path, progress=lambda done, total: resumed.append(done))
    assert resumed[0] == 5, "the fifth step was saved before the sixth broke off"
    assert same(tensors(game), wanted[0])
    assert log_of(tmp_path) == wanted[1]


# -- Ctrl-C ------------------------------------------------------------------------------------------------------


def signalling(game: Objective, step: int, times: int = 1) -> list[int]:
    """The game gets Ctrl-C in the middle of a step. Returns a list of the steps that were completed."""
    completed: list[int] = []
    play = game.step

    def step_(batch: Batch, rng: random.Random) -> Losses:
        if len(completed) + 1 == step:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        losses = play(batch, rng)
        completed.append(len(completed) + 1)
        return losses

    game.step = step_
    return completed


def test_the_first_ctrl_c_completes_the_step(uninterrupted, tmp_path):
    name, *wanted = uninterrupted
    before = signal.getsignal(signal.SIGINT)
    for step in (2, EPOCH, TOTAL):
        game = GAMES[name]()
        completed = signalling(game, step)
        with pytest.raises(KeyboardInterrupt):
            train(game, tmp_path / str(step), seconds=1e9)
        assert completed[-1] == step
        state = load_state(tmp_path / str(step) / "state" / "state.safetensors")
        assert state["step"] == step
        assert signal.getsignal(signal.SIGINT) is before
        finish(name, tmp_path / str(step), *wanted)


def test_the_second_ctrl_c_breaks_the_step(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    game = pix2pix()
    completed = signalling(game, 2, times=2)
    with pytest.raises(KeyboardInterrupt):
        train(game, tmp_path, seconds=1e9)
    assert completed == [1]
    assert not (tmp_path / "state").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_between_the_last_step_and_the_end(uninterrupted, tmp_path):
    name, *wanted = uninterrupted

    def sample(epoch: int) -> None:
        if epoch == SCHEDULE.epochs:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(GAMES[name](), tmp_path, seconds=1e9, sample=sample)
    assert load_state(tmp_path / "state" / "state.safetensors")["step"] == TOTAL
    finish(name, tmp_path, *wanted)


def test_the_handler_is_restored_after_all_goes_well(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    train(pix2pix(), tmp_path)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread(uninterrupted, tmp_path):
    """Signals cannot be caught there, and are not."""
    name, *wanted = uninterrupted
    failed: list[BaseException] = []

    def run() -> None:
        try:
            finish(name, tmp_path, *wanted)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed
