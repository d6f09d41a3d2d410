"""What SPADE's games add to their golden steps (tests/parity/test_steps.py)."""

import random
from copy import deepcopy

import pytest
import torch

from pocketgan.errors import SpecError
from pocketgan.objectives.spade import Spade, SpadeSettings
from pocketgan.objectives.spade_distil import SpadeDistilSettings
from tests.objectives.toys import SPADE, SPADE_JUDGE, filled, labels, play, spade, spade_distiller


def test_published_settings():
    for s in (SpadeSettings(), SpadeDistilSettings()):
        assert (s.gan_mode, s.gan, s.feature_matching, s.perceptual) == ("hinge", 1, 10, 10)
        assert (s.lr, s.betas) == (2e-4, (0, 0.9))
    assert SpadeDistilSettings().distil == 10


@pytest.mark.parametrize(("make", "role"), [(spade, "generator"), (spade_distiller, "student")])
def test_two_learning_rates(make, role):
    game = make(lr=1e-3)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in game.optimizers.items()}
    assert rates == {role: 5e-4, "discriminator": 2e-3}


def test_the_perceptual_network_is_needed_where_its_term_counts():
    networks = filled(SPADE.build(), 0.1), filled(SPADE_JUDGE.build(), 0.2)
    with pytest.raises(SpecError) as error:
        Spade(SpadeSettings(), *networks)
    assert str(error.value) == (
        "the perceptual term has the weight 10 and no network to see with; hand one in, or set perceptual to 0"
    )
    losses = Spade(SpadeSettings(perceptual=0), *networks).step(labels(0), random.Random(0))
    assert "G_perceptual" not in losses


def test_the_perceptual_network_sees_the_real_images_once():
    """However many subnets are compared with them."""
    game, seen = spade_distiller(supernet=True, sampling={"kind": "sandwich", "random": 2}), []
    game.frozen["perceptual"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    b = labels(0)
    game.step(b, random.Random(0))
    assert [image is b.y for image in seen] == [True, False, False, False, False]
    assert not seen[0].requires_grad
    assert all(image.requires_grad for image in seen[1:])


@pytest.mark.parametrize("make", [spade, spade_distiller])
def test_the_discriminator_judges_what_the_updated_generator_makes(make):
    game, seen = make(lr=1e-2), []
    game.players["discriminator"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    before = deepcopy(game.generator)
    b = labels(0)
    game.step(b, random.Random(0))
    first, second = seen
    for both, network in ((first, before), (second, game.generator)):
        fake, real = both.chunk(2)
        # batch statistics make what they make also in a copy
        torch.testing.assert_close(fake, torch.cat([b.x, network(b.x)], 1))
        assert torch.equal(real, torch.cat([b.x, b.y], 1))
    assert not torch.allclose(first, second)
    assert not second.requires_grad


def test_a_sandwich_is_the_mean_of_its_subnets():
    """Losses of a first step; one subnet at a time gives the same ones."""

    def alone(genome):
        game = spade_distiller(supernet=True, lr=1e-12)
        space = game.space
        fixed = tuple(
            choice.model_copy(update={"options": (n,)}) for choice, n in zip(space.choices, genome, strict=True)
        )
        game.space = space.model_copy(update={"choices": fixed})
        return play(game, 1)[0]

    both = spade_distiller(supernet=True, lr=1e-12, sampling={"kind": "sandwich", "random": 0})
    ends = [alone(both.space.largest), alone(both.space.smallest)]
    found = play(both, 1)[0]
    for name in ("G_gan", "G_features", "G_perceptual", "G_distil"):
        # each pass moves the vectors of D's spectral norm, hence not to the last digit
        assert found[name].item() == pytest.approx(sum(losses[name].item() for losses in ends) / 2, rel=1e-2), name
