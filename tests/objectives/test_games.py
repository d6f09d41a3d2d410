"""What holds for every game."""

import functools
import operator
import random
from copy import deepcopy
from typing import Annotated

import pytest
import torch
from pydantic import Field, TypeAdapter
from torch import nn

from pocketgan.elastic.sampling import SandwichSampling
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import NonFiniteLoss
from pocketgan.networks import Generator
from pocketgan.objectives.cycle import CycleGanSettings
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.in_place import InPlaceSettings
from pocketgan.objectives.in_place_cycle import InPlaceCycleSettings
from pocketgan.objectives.munit import MunitSettings
from pocketgan.objectives.munit_distil import MunitDistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.objectives.spade import SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistilSettings
from pocketgan.training.state import load_state, save_state
from tests.objectives.test_golden import GAMES
from tests.objectives.toys import fitting_batch, play, same, tensors

DISTILLERS = [name for name, (make, _) in GAMES.items() if make.__name__.endswith("distiller")]
SANDWICHES = [name for name, (_, settings) in GAMES.items() if "sampling" in settings]
games = pytest.mark.parametrize("name", GAMES)


def game(name: str):
    make, settings = GAMES[name]
    return make(**settings)


def parameters(game) -> dict[str, torch.Tensor]:
    """Copies of everything that is trained."""
    return {
        f"{player}/{name}": parameter.detach().clone()
        for player, network in game.players.items()
        for name, parameter in network.named_parameters()
    }


def test_settings_are_told_apart_by_their_kind():
    settings = [
        Pix2PixSettings(),
        CycleGanSettings(pool=7),
        SpadeSettings(perceptual=0),
        MunitSettings(image=3),
        DistilSettings(sampling=SandwichSampling(random=1)),
        SpadeDistilSettings(distil=2),
        MunitDistilSettings(sampling=SandwichSampling()),
        InPlaceSettings(matching=3),
        InPlaceCycleSettings(cycle=3),
    ]
    union = functools.reduce(operator.or_, map(type, settings))
    reader = TypeAdapter(Annotated[union, Field(discriminator="kind")])
    for value in settings:
        assert reader.validate_json(value.model_dump_json()) == value
        assert hash(value) == hash(value.model_copy())
    kinds = ["pix2pix", "cyclegan", "spade", "munit", "distil", "spade-distil", "munit-distil"]
    assert [value.kind for value in settings] == [*kinds, "in-place", "in-place-cyclegan"]


@games
def test_a_stopped_training_goes_on_as_if_it_had_not_been(name, tmp_path):
    whole, first, second = game(name), game(name), game(name)
    losses = play(whole, 4)
    play(first, 3)
    save_state(first.state_dict(), tmp_path / "state")
    second.load_state_dict(load_state(tmp_path / "state"))
    assert play(second, 1, first=3) == losses[3:]
    assert same(tensors(whole), tensors(second))


@games
def test_a_turn_concerns_its_players_alone(name):
    """Gradients reach the players that a loss is for, and an update moves the players that it names."""
    play_on = game(name)
    gradients, update = play_on.backward, play_on.update
    turns = []

    def held(network: nn.Module) -> list[torch.Tensor | None]:
        return [None if p.grad is None else p.grad.clone() for p in network.parameters()]

    def watched_gradients(loss, *players, **options):
        others = {n: held(network) for n, network in play_on.players.items() if n not in players}
        gradients(loss, *players, **options)
        for player, before in others.items():
            for old, new in zip(before, held(play_on.players[player]), strict=True):
                assert (old is None and new is None) or torch.equal(old, new), player

    def watched_update(*players):
        before = parameters(play_on)
        update(*players)
        moved = {
            key.partition("/")[0] for key, old in parameters(play_on).items() if not torch.equal(old, before[key])
        }
        assert moved == set(players)
        turns.append(set(players))

    play_on.backward, play_on.update = watched_gradients, watched_update
    play(play_on, 2)
    assert set().union(*turns) == set(play_on.players)


@games
def test_what_is_told_is_what_is_learned(name):
    """Adam forgives a loss of the wrong size, so that no weight would show it."""
    play_on, learned = game(name), {"G": 0.0, "D": 0.0}
    gradients = play_on.backward

    def watched(loss, *players, **options):
        learned["D" if "discriminator" in players[0] else "G"] += loss.item()
        gradients(loss, *players, **options)

    play_on.backward = watched
    (losses,) = play(play_on, 1)
    halved = not name.startswith(("spade", "munit"))
    for side, sum_of_losses in learned.items():
        told = sum(loss.item() for key, loss in losses.items() if key.startswith(side))
        assert sum_of_losses == pytest.approx(told / 2 if halved and side == "D" else told, rel=1e-12)


@games
@pytest.mark.parametrize("half", ["x", "y"])
def test_a_loss_that_is_not_finite_changes_no_weight(name, half):
    play_on = game(name)
    play(play_on, 1)
    before = parameters(play_on)
    broken = fitting_batch(play_on, 1)
    getattr(broken, half)[0, 0, 0, 0] = float("nan")
    with pytest.raises(NonFiniteLoss, match="training stopped before the update"):
        play_on.step(broken, random.Random(0))
    assert same(parameters(play_on), before)


@games
def test_losses_are_numbers_without_gradients(name):
    for losses in play(game(name), 2):
        for loss in losses.values():
            assert loss.shape == ()
            assert not loss.requires_grad


@pytest.mark.parametrize("name", DISTILLERS)
def test_the_teacher_sees_a_batch_once_and_learns_nothing(name):
    play_on = game(name)
    seen = []
    frozen = {role: deepcopy(network.state_dict()) for role, network in play_on.frozen.items()}
    play_on.frozen["teacher"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    play(play_on, 2)
    assert len(seen) == 2, "once a batch, however many subnets it is for"
    for role, state in frozen.items():
        assert not play_on.frozen[role].training
        assert all(torch.equal(tensor, state[key]) for key, tensor in play_on.frozen[role].state_dict().items())
        assert all(p.grad is None and not p.requires_grad for p in play_on.frozen[role].parameters())


@pytest.mark.parametrize("name", SANDWICHES)
def test_a_sandwich_is_largest_smallest_and_random(name):
    play_on = game(name)
    visited = []
    play_on.generator.register_forward_hook(lambda module, inputs, output: visited.append(inputs[1]))
    play(play_on, 1)
    space, drawn = play_on.space, play_on.space.sample(random.Random(0))
    wanted = [space.subspec(genome) for genome in (space.largest, space.smallest, drawn)]
    assert visited == wanted * (len(visited) // 3), "and the same ones for both turns"


@games
def test_products_are_whole_networks(name):
    """Also when the game was set up."""
    play_on = game(name)
    for network in (*play_on.players.values(), *play_on.frozen.values()):
        network.float()
    before = play_on.products
    assert isinstance(before["model"], Generator)
    assert {"model", "discriminator"} <= set(before)
    generator = play_on.generator
    assert isinstance(generator, Supernet) == ("supernet" in name or "sandwich" in name)
    assert before["model"] is (generator.network if isinstance(generator, Supernet) else generator)
    play_on.setup(torch.device("cpu"), "fp32")
    assert play_on.generator is generator
    assert play_on.products.keys() == before.keys()
    assert all(network is before[part] for part, network in play_on.products.items())


@pytest.mark.parametrize(
    "name", ["cyclegan", "munit", "munit-distil", "munit-supernet", "spade", "spade-spectral", "spade-supernet"]
)
def test_lower_precision_reaches_every_network(name):
    """However a game calls them."""
    play_on, seen = game(name), set()
    for network in (*play_on.players.values(), *play_on.frozen.values()):
        network.float()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    play_on.setup(torch.device("cpu"), "bf16")
    for number in range(2):
        batch = fitting_batch(play_on, number)
        losses = play_on.step(batch._replace(x=batch.x.float(), y=batch.y.float()), random.Random(number))
        assert all(loss.isfinite() for loss in losses.values())
    assert seen == {torch.bfloat16}
