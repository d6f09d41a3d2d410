"""What CycleGAN adds to its golden steps (tests/parity/test_steps.py)."""

import random

import torch

from pocketgan.objectives.cycle import CycleGanSettings
from tests.objectives.toys import batch, cyclegan, play


def test_published_settings():
    s = CycleGanSettings()
    assert (s.gan_mode, s.gan, s.cycle, s.identity, s.pool) == ("lsgan", 1, 10, 5, 50)
    assert (s.lr, s.betas) == (2e-4, (0.5, 0.999))


def test_each_discriminator_judges_the_domain_its_generator_makes():
    game, seen = cyclegan(pool=0), {}
    for name in ("discriminator", "backward_discriminator"):
        game.players[name].register_forward_hook(
            lambda m, inputs, o, n=name: seen.setdefault(n, []).append(inputs[0])
        )
    b = batch(0)
    with torch.no_grad():
        fakes = {"discriminator": game.generator(b.x), "backward_discriminator": game.products["backward"](b.y)}
    game.step(b, random.Random(0))
    for name, real in (("discriminator", b.y), ("backward_discriminator", b.x)):
        fooled, fake, judged_real = seen[name]
        assert torch.equal(fooled.detach(), fakes[name])
        assert fooled.requires_grad
        assert torch.equal(fake, fakes[name]), "made before the generators moved"
        assert not fake.requires_grad
        assert judged_real is real


def test_without_the_identity_term_nothing_is_computed_for_it():
    calls = {0.0: 0, 5.0: 0}
    for identity in calls:
        game = cyclegan(identity=identity)

        def count(module, inputs, output, key=identity):
            calls[key] += 1

        game.generator.register_forward_hook(count)
        losses = play(game, 1)[0]
        assert ("G_identity" in losses) == (identity > 0)
    assert calls == {0.0: 2, 5.0: 3}


def test_the_discriminators_see_the_past():
    """Past fakes come from the pools, one for each domain, as the step's own randomness says."""
    game = cyclegan(pool=2)
    play(game, 3)
    assert [len(pool.images) for pool in game.pools.values()] == [2, 2]
    stored = [image for pool in game.pools.values() for image in pool.images]
    assert not any(torch.equal(stored[i], stored[j]) for i in range(4) for j in range(i))
    losses = {seed: cyclegan(pool=1).step(batch(0), random.Random(seed)) for seed in range(6)}
    assert len({loss["D_fake"].item() for loss in losses.values()}) == 2, (
        "the second image is the new or the stored"
    )
    assert len({loss["G_gan"].item() for loss in losses.values()}) == 1
