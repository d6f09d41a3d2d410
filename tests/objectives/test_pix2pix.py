import random
from copy import deepcopy

import pytest
import torch

from pocketgan.errors import NonFiniteLoss
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from tests.objectives.toys import batch, pix2pix, play, same, tensors


@pytest.mark.parametrize("mode", ["hinge", "lsgan", "vanilla", "wgangp"])
def test_first_step_is_the_algorithm_box(mode):
    """Written out with plain Adam: D's update first, then G's against the new D."""
    game, wanted = pix2pix(gan_mode=mode), pix2pix(gan_mode=mode)
    b = batch(0)
    g, d = wanted.generator, wanted.networks["discriminator"]
    g_adam, d_adam = (torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (g, d))
    fake = g(b.x)
    d_fake = fake_loss(d(torch.cat([b.x, fake.detach()], 1)), mode)
    d_real = real_loss(d(torch.cat([b.x, b.y], 1)), mode)
    ((d_fake + d_real) / 2).backward()
    d_adam.step()
    g_gan = fool_loss(d(torch.cat([b.x, fake], 1)), mode)
    g_recon = 100 * (fake - b.y).abs().mean()
    g_adam.zero_grad()
    (g_gan + g_recon).backward()
    g_adam.step()

    found = game.step(b, random.Random(0))
    for name, loss in dict(D_fake=d_fake, D_real=d_real, G_gan=g_gan, G_recon=g_recon).items():
        assert found[name].item() == pytest.approx(loss.item(), rel=1e-12), name
        assert not found[name].requires_grad
    for name in ("generator", "discriminator"):
        state = wanted.networks[name].state_dict()
        for key, tensor in game.networks[name].state_dict().items():
            # an update is 2e-4; a bias in front of a norm has no gradient but rounding, which Adam divides by 1e-8
            torch.testing.assert_close(tensor, state[key], rtol=1e-9, atol=1e-8)


def test_steps_are_reproducible():
    first, second = pix2pix(), pix2pix()
    assert play(first, 3) == play(second, 3)
    assert same(tensors(first), tensors(second))


def test_state_goes_on_in_another_game():
    first, second = pix2pix(), pix2pix()
    play(first, 2)
    second.load_state_dict(deepcopy(first.state_dict()))
    assert play(first, 2, first=2) == play(second, 2, first=2)
    assert same(tensors(first), tensors(second))


@pytest.mark.parametrize(("half", "terms"), [("x", "D_fake, D_real"), ("y", "D_real")])
def test_a_loss_that_is_not_finite_changes_nothing(half, terms):
    game = pix2pix()
    play(game, 1)
    before = tensors(game)
    broken = batch(1)
    getattr(broken, half)[0, 0, 0, 0] = float("nan")
    with pytest.raises(NonFiniteLoss) as error:
        game.step(broken, random.Random(0))
    assert str(error.value) == (
        f"the loss of discriminator became nan ({terms}); training stopped before the update. "
        "Lower the learning rate, or use precision fp32, and run again"
    )
    assert same(tensors(game), before)


def test_learning_rate_factor():
    """Always a fraction of the rate at the start, also after the state was restored."""
    game = pix2pix(lr=1e-3)
    rates = []
    for factor in (0.5, 0.25, 1.0):
        game.set_lr_factor(factor)
        rates.append([group["lr"] for optimizer in game.optimizers.values() for group in optimizer.param_groups])
    assert rates == [[5e-4] * 2, [2.5e-4] * 2, [1e-3] * 2]
    game.set_lr_factor(0.5)
    again = pix2pix(lr=1e-3)
    again.load_state_dict(game.state_dict())
    again.set_lr_factor(0.1)
    assert again.optimizers["generator"].param_groups[0]["lr"] == pytest.approx(1e-4)
