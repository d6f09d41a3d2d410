"""MUNIT's teacher against its losses written out on the parts of its networks."""

import random
from copy import deepcopy

import pytest
import torch

from pocketgan.interop.official import to_official
from pocketgan.networks.munit import assemble
from pocketgan.objectives.munit import MunitSettings, translator
from tests.objectives.toys import MUNIT, batch, filled, munit, play


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).abs().mean()


def drawn(rng: random.Random, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rng.getrandbits(63))
    return torch.randn(count, MUNIT.style_channels, 1, 1, generator=generator).double()


def naive(game, steps: int):
    """The losses of some steps, and the networks after them: (A's and B's generator, D of B, D of A)."""
    pair = deepcopy(game.players["generators"])
    a, b = pair.a, pair.b
    judge_b, judge_a = (deepcopy(game.players[name]) for name in ("discriminator", "backward_discriminator"))
    s = game.settings

    def adam(*networks):
        tensors = [p for network in networks for p in network.parameters()]
        return torch.optim.Adam(tensors, s.lr, s.betas, weight_decay=s.weight_decay)

    g_adam, d_adam = adam(a, b), adam(judge_a, judge_b)
    told = []
    for number in range(steps):
        (x_a, x_b, _), rng = batch(number), random.Random(number)
        style_a, style_b = drawn(rng, len(x_b)), drawn(rng, len(x_a))
        content_a, content_b = a.content(x_a), b.content(x_b)
        fake_a, fake_b = a.decode(content_b, style_a), b.decode(content_a, style_b)
        image = distance(a(x_a), x_a) + distance(b(x_b), x_b)
        content = distance(a.content(fake_a), content_b) + distance(b.content(fake_b), content_a)
        style = distance(a.style(fake_a), style_a) + distance(b.style(fake_b), style_b)
        # least squares, added up over scales
        fool = sum((score - 1).square().mean() for score in (*judge_a(fake_a), *judge_b(fake_b)))
        g_adam.zero_grad()
        (s.gan * fool + s.image * image + s.content * content + s.style * style).backward()
        g_adam.step()

        style_a, style_b = drawn(rng, len(x_b)), drawn(rng, len(x_a))
        fake_a, fake_b = a.decode(b.content(x_b), style_a), b.decode(a.content(x_a), style_b)
        d_fake = sum(score.square().mean() for score in (*judge_a(fake_a.detach()), *judge_b(fake_b.detach())))
        d_real = sum((score - 1).square().mean() for score in (*judge_a(x_a), *judge_b(x_b)))
        d_adam.zero_grad()
        (d_fake + d_real).backward()
        d_adam.step()
        losses = dict(D_fake=d_fake, D_real=d_real, G_gan=s.gan * fool, G_image=s.image * image)
        losses |= dict(G_content=s.content * content, G_style=s.style * style)
        told.append({name: loss.item() for name, loss in losses.items()})
    return told, (a, b, judge_b, judge_a)


@pytest.mark.parametrize("settings", [{}, dict(gan=0.5, image=3.0, content=2.0, style=0.7, lr=1e-2)])
def test_steps_are_the_losses_written_out(settings):
    game = munit(**settings)
    wanted, networks = naive(game, 3)
    for found, want in zip(play(game, 3), wanted, strict=True):
        assert {name: loss.item() for name, loss in found.items()} == pytest.approx(want, rel=1e-9)
    pair = game.players["generators"]
    found = (pair.a, pair.b, game.players["discriminator"], game.players["backward_discriminator"])
    for ours, theirs in zip(found, networks, strict=True):
        for name, tensor in theirs.state_dict().items():
            # Adam makes updates of the size of lr even from gradients that are little more than rounding
            near = dict(rtol=1e-7, atol=1e-5 * game.settings.lr)
            torch.testing.assert_close(ours.state_dict()[name], tensor, **near)


def test_published_settings():
    s = MunitSettings()
    assert (s.gan_mode, s.gan, s.image, s.content, s.style) == ("lsgan", 1, 10, 1, 1)
    assert (s.lr, s.betas, s.weight_decay) == (1e-4, (0.5, 0.999), 1e-4)


def test_the_model_translates_from_a_to_b():
    game = munit()
    play(game, 1)
    pair, x = game.players["generators"], batch(0).x
    style = drawn(random.Random(0), len(x))
    assert torch.equal(game.products["model"](x, style=style), pair.b.decode(pair.a.content(x), style))
    assert torch.equal(game.products["backward"](x, style=style), pair.a.decode(pair.b.content(x), style))


def test_a_translator_is_what_the_files_assemble():
    a, b = filled(MUNIT.build(), 0.1), filled(MUNIT.build(), 0.2)
    made = translator(a, b)
    wanted = assemble(a.state_dict(), b.state_dict())
    assert list(made.state_dict()) == list(wanted)
    assert all(
        made.state_dict()[name] is not None and torch.equal(made.state_dict()[name], wanted[name])
        for name in wanted
    )
    assert to_official(made.state_dict(), made.spec)
    next(b.decoder.parameters()).data.zero_()
    assert not next(made.decoder.parameters()).any(), "shared, not copied"


def test_both_turns_draw_their_own_styles():
    game, seen = munit(), []
    game.players["generators"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[1]))
    game.step(batch(0), random.Random(0))
    (first_a, first_b), (second_a, second_b) = seen
    codes = [first_a, first_b, second_a, second_b]
    assert all(code.shape == (2, MUNIT.style_channels, 1, 1) for code in codes)
    assert not any(torch.equal(codes[i], codes[j]) for i in range(4) for j in range(i))


def test_styles_follow_from_the_given_randomness_alone():
    torch.manual_seed(0)
    first = munit().step(batch(0), random.Random(1))
    torch.manual_seed(1)
    assert munit().step(batch(0), random.Random(1)) == first
    assert munit().step(batch(0), random.Random(2)) != first
