"""In-place distillation without pairs: what it adds to CycleGAN, and that it is CycleGAN where nothing is added."""

import random

import pytest
import torch

from pocketgan.elastic.sampling import LevelSampling
from pocketgan.losses.adversarial import fool_loss
from tests.objectives.toys import TEACHER, batch, cyclegan, in_place_cycle, play, same, tensors

BOTH_ENDS = LevelSampling(random=0)


def test_cyclegan_is_a_special_case():
    """A plain network, without the average and at one learning rate: CycleGAN to the last bit, pools and all."""
    from_scratch, own = cyclegan(), in_place_cycle(spec=TEACHER, averaged=0, lr=2e-4)
    assert play(own, 8) == play(from_scratch, 8)
    found = tensors(own)
    assert found.keys() == tensors(from_scratch).keys()
    assert same(found, tensors(from_scratch))


def test_a_space_of_one_size_is_a_plain_network():
    # pools draw after the subnets
    one, plain = in_place_cycle(options=(2,), pool=0), in_place_cycle(pool=0)
    assert play(one, 3) == play(plain, 3)


def test_terms_of_two_subnets():
    """Written out: where the way to B stands, the mean over both; and the second subnet imitates the first."""
    game, twin = (in_place_cycle(options=(3, 1), sampling=BOTH_ENDS, imitation=3.0) for _ in range(2))
    a, b, _ = batch(0)
    subnets = [lambda x, at=at: twin.generator(x, at) for at in ((3,) * 8, (1,) * 8)]
    back, d_b, d_a = (twin.players[name] for name in ("backward", "discriminator", "backward_discriminator"))

    def l1(one, other):
        return (one - other).abs().mean().item()

    def mean(term):
        return sum(map(term, subnets)) / 2

    wanted = {
        "G_gan": mean(lambda to_b: fool_loss(d_b(to_b(a)), "lsgan").item()),
        "G_gan_backward": fool_loss(d_a(back(b)), "lsgan").item(),
        "G_cycle": 10 * mean(lambda to_b: l1(back(to_b(a)), a)),
        "G_cycle_backward": 10 * mean(lambda to_b: l1(to_b(back(b)), b)),
        "G_identity": 5 * mean(lambda to_b: l1(to_b(b), b)),
        "G_identity_backward": 5 * l1(back(a), a),
        "G_imitation": 3 * l1(subnets[1](a), subnets[0](a)),
        # the pools give back what they are given while they fill
        "D_fake": mean(lambda to_b: (d_b(to_b(a)) ** 2).mean().item()),
        "D_real": ((d_b(b) - 1) ** 2).mean().item(),
        "D_fake_backward": (d_a(back(b)) ** 2).mean().item(),
        "D_real_backward": ((d_a(a) - 1) ** 2).mean().item(),
    }
    found = game.step(batch(0), random.Random(0))
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(wanted, rel=1e-9)


def test_the_largest_learns_nothing_from_those_that_imitate_it():
    quiet = dict(gan=0.0, cycle=0.0, identity=0.0, averaged=0.0)
    game = in_place_cycle(options=(3, 1), sampling=BOTH_ENDS, imitation=1.0, **quiet)
    before = tensors(game)
    play(game, 1)
    moved = {
        name: (tensor != before[name]).nonzero()
        for name, tensor in tensors(game).items()
        if name.startswith("/networks/generator/") and not torch.equal(tensor, before[name])
    }
    inner = {name: places for name, places in moved.items() if ".conv" in name}
    assert inner, "the smallest learns"
    assert all(int(places.max()) < 7 for places in inner.values()), "its leading channels alone"


def test_what_is_left_is_the_average_of_the_way_to_b():
    game = in_place_cycle(averaged=0.5)
    mean = [p.detach().clone() for p in game.generator.parameters()]
    for number in range(2):
        play(game, 1, first=number)
        part = 1 / (0.5 * (number + 1) + 1)
        mean = [old.lerp(p.detach(), part) for old, p in zip(mean, game.generator.parameters(), strict=True)]
    left = game.products
    assert list(left) == ["model", "backward", "discriminator", "backward_discriminator"]
    for found, wanted in zip(left["model"].parameters(), mean, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert all(left[name] is game.players[name] for name in list(left)[1:])


def test_generators_and_discriminators_have_rates_of_their_own():
    game = in_place_cycle(lr=3e-3, discriminator_lr=1e-4)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in game.optimizers.items()}
    assert rates == {
        "generator": 3e-3,
        "backward": 3e-3,
        "discriminator": 1e-4,
        "backward_discriminator": 1e-4,
    }
