"""Training on an accelerator: the stand-in, which computes as the CPU does."""

import random
from collections.abc import Iterator

import pytest
from torch import Tensor

from pocketgan.data.batches import Batch
from pocketgan.errors import NonFiniteLoss
from pocketgan.runtime import Runtime
from pocketgan.training.state import load_state, save_state
from tests.objectives.test_bursts import GAMES as BURSTS
from tests.objectives.test_golden import GAMES
from tests.objectives.test_online import GAMES as ONLINE
from tests.objectives.toys import fitting_batch, same, tensors
from tests.training.test_fit import EPOCH, TOTAL, batches, distiller, pix2pix, stopping_at, train

#: games that keep more than networks and optimizers
KEEPING = ("cyclegan", "munit-distil", "bursts", "omgd")
ON_IT = dict(runtime=Runtime(checkpoint_seconds=0, log_steps=1))


def tensors_in(state: object) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, (dict, list)):
        for each in state.values() if isinstance(state, dict) else state:
            yield from tensors_in(each)


@pytest.mark.parametrize("name", {**GAMES, **BURSTS, **ONLINE})
def test_a_step_on_the_device_is_that_on_a_cpu(name, accelerator):
    make, settings = {**GAMES, **BURSTS, **ONLINE}[name]
    here, there = make(**settings), make(**settings)
    there.setup(accelerator, "fp32")
    for number in range(2 if name in BURSTS else 1):  # of which the second one is for the student
        batch = fitting_batch(here, number)
        wanted = here.step(batch, random.Random(number))
        losses = there.step(batch.on(accelerator), random.Random(number))
        assert {loss.device for loss in losses.values()} == {accelerator}
        assert {key: loss.item() for key, loss in losses.items()} == {k: v.item() for k, v in wanted.items()}
    there.finite.check()
    assert all(tensor.device == accelerator for tensor in tensors_in(there.state_dict()))


@pytest.mark.parametrize("make", [pix2pix, distiller])
def test_a_training_that_was_stopped_on_the_device_goes_on(make, accelerator, tmp_path):
    """And ends where one ends that was never interrupted, and never left the CPU."""
    whole, first, second = make(), make(), make()
    train(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(first, tmp_path / "run", **ON_IT, progress=stopping_at(5))
    train(second, tmp_path / "run", **ON_IT)
    assert all(tensor.device == accelerator for tensor in tensors_in(second.state_dict()))
    assert same({name: tensor.cpu() for name, tensor in tensors(second).items()}, tensors(whole))


@pytest.mark.parametrize("name", KEEPING)
def test_a_state_lands_on_the_device(name, accelerator, tmp_path):
    """Of networks, optimizers, pools of past images, averages and chosen teachers."""
    make, settings = {**GAMES, **BURSTS, **ONLINE}[name]
    first, second = make(**settings), make(**settings)
    for game in (first, second):
        game.setup(accelerator, "fp32")
    first.step(fitting_batch(first, 0).on(accelerator), random.Random(0))
    save_state(first.state_dict(), tmp_path / "state")
    second.load_state_dict(load_state(tmp_path / "state"))
    assert all(tensor.device == accelerator for tensor in tensors_in(second.state_dict()))
    batch = fitting_batch(first, 1).on(accelerator)
    assert first.step(batch, random.Random(1)) == second.step(batch, random.Random(1))


@pytest.mark.parametrize("log_steps", [1, 3, 100])
def test_nothing_is_changed_or_saved_after_a_loss_that_is_not_finite(log_steps, accelerator, tmp_path):
    """However late it is looked at: the device itself leaves updates out."""
    game, weights = pix2pix(), []

    def broken(epoch: int, first: int) -> Iterator[Batch]:
        for step, each in enumerate(batches(epoch, first), epoch * EPOCH + first):
            yield each._replace(x=each.x * float("nan")) if step == 4 else each

    def progress(done: int, total: int) -> None:
        weights.append({name: each.detach().clone().cpu() for name, each in parameters(game)})

    with pytest.raises(NonFiniteLoss, match=r"became nan \(D_fake.*; training stopped before the up"):
        train(game, tmp_path, epoch_batches=broken, runtime=Runtime(log_steps=log_steps), progress=progress)
    assert len(weights) == min(TOTAL, -(-5 // log_steps) * log_steps)
    assert not same(weights[2], weights[3])
    assert all(same(weights[3], later) for later in weights[4:])
    assert not (tmp_path / "state").exists()


def test_before_a_state_is_saved_losses_are_looked_at(accelerator, tmp_path):
    def broken(epoch: int, first: int) -> Iterator[Batch]:
        for step, each in enumerate(batches(epoch, first), epoch * EPOCH + first):
            yield each._replace(x=each.x * float("nan")) if step == 4 else each

    with pytest.raises(NonFiniteLoss):
        train(pix2pix(), tmp_path, epoch_batches=broken, runtime=Runtime(checkpoint_seconds=0, log_steps=100))
    assert load_state(tmp_path / "state" / "state.safetensors")["step"] == 4


def test_the_flag_skips_the_updates_of_every_game(accelerator):
    for name in ("pix2pix", "cyclegan", "munit-distil", "supernet-sandwich"):
        make, settings = GAMES[name]
        game = make(**settings)
        game.setup(accelerator, "fp32")
        before = {key: each.detach().clone() for key, each in parameters(game)}
        broken = fitting_batch(game, 0)
        broken.x[0, 0, 0, 0] = float("nan")
        game.step(broken.on(accelerator), random.Random(0))
        assert same(dict(parameters(game)), before), name
        with pytest.raises(NonFiniteLoss):
            game.finite.check()


def parameters(game) -> Iterator[tuple[str, Tensor]]:
    for player, network in game.players.items():
        yield from ((f"{player}/{name}", each) for name, each in network.named_parameters())
