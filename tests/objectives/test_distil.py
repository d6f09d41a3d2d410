import random

import pytest
import torch

from pocketgan.errors import NonFiniteLoss
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from tests.objectives.toys import batch, distiller, play, same, tensors

kinds = pytest.mark.parametrize("supernet", [False, True], ids=["plain", "supernet"])


@kinds
def test_the_teacher_is_left_alone(supernet):
    game = distiller(supernet=supernet)
    teacher = game.frozen["teacher"]
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    play(game, 3)
    assert not teacher.training
    for name, parameter in teacher.named_parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad
        assert torch.equal(parameter, before[name])


@kinds
def test_the_discriminator_sees_each_image_once(supernet):
    game = distiller(supernet=supernet)
    seen = []
    game.networks["discriminator"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    b = batch(0)
    game.step(b, random.Random(0))
    fake, real = seen
    assert torch.equal(real, torch.cat([b.x, b.y], 1))
    assert torch.equal(fake[:, :3], b.x)
    assert fake.requires_grad, "one forward serves both players"


@kinds
def test_every_player_moves(supernet):
    game = distiller(supernet=supernet)
    before = tensors(game)
    play(game, 4)
    after = tensors(game)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    for part in (
        "discriminator/layers.0",
        "student/network",
        "student/adaptors.taps.down",
        "student/adaptors.taps.block3",
    ):
        assert any(name.startswith(f"/networks/{part}") for name in moved), part


@kinds
def test_steps_are_reproducible(supernet):
    first, second = distiller(supernet=supernet), distiller(supernet=supernet)
    assert play(first, 3) == play(second, 3)
    assert same(tensors(first), tensors(second))


def test_the_widths_come_from_the_given_randomness():
    def losses(seed: int):
        return {
            name: loss.item() for name, loss in distiller(supernet=True).step(batch(0), random.Random(seed)).items()
        }

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_a_plain_student_draws_nothing():
    game, rng = distiller(), random.Random(0)
    game.step(batch(0), rng)
    assert rng.random() == random.Random(0).random()


@pytest.mark.parametrize("paired", [True, False])
def test_losses_are_the_formulas(paired):
    game = distiller(paired=paired, gan_mode="lsgan", gan=0.5, recon=7.0, recon_loss="l2", distil=0.3)
    b = batch(0)
    seen = {}

    def tap(kind):
        return lambda name, x: seen.setdefault((kind, name), x)

    with torch.no_grad():
        fake = game.generator(b.x, tap("student"))
        target = game.frozen["teacher"](b.x, tap("teacher"))
        judge = game.networks["discriminator"]
        on_fake, on_real = (judge(torch.cat([b.x, image], 1) if paired else image) for image in (fake, b.y))
        distil = sum(
            (conv(seen["student", tap]) - seen["teacher", tap]).square().mean()
            for tap, conv in game.adaptors.taps.items()
        )
        wanted = {
            "D_fake": fake_loss(on_fake, "lsgan"),
            "D_real": real_loss(on_real, "lsgan"),
            "G_gan": 0.5 * fool_loss(on_fake, "lsgan"),
            "G_recon": 7 * (fake - (b.y if paired else target)).square().mean(),
            "G_distil": 0.3 * distil,
        }
    found = game.step(b, random.Random(0))
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(
        {name: loss.item() for name, loss in wanted.items()}, rel=1e-12
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("half", ["x", "y"])
def test_a_loss_that_is_not_finite_changes_nothing(half, value):
    game = distiller(supernet=True)
    play(game, 1)
    before = tensors(game)
    broken = batch(1)
    getattr(broken, half)[0, 0, 0, 0] = value
    with pytest.raises(NonFiniteLoss):
        game.step(broken, random.Random(0))
    assert same(tensors(game), before)


def test_a_loss_of_the_student_alone_that_is_not_finite():
    """The discriminator's turn comes first, but its update waits."""
    game = distiller(recon=1e308)
    before = tensors(game)
    far = batch(0)
    with pytest.raises(NonFiniteLoss) as error:
        game.step(far._replace(y=far.y * 1e3), random.Random(0))
    assert str(error.value) == (
        "the loss of student became inf (G_recon); training stopped before the update. "
        "Lower the learning rate, or use precision fp32, and run again"
    )
    assert same(tensors(game), before)


def test_a_sandwich_is_the_mean_of_its_subnets():
    """Written out with plain Adam: both losses are means over the largest and the smallest subnet."""
    sampling = {"kind": "sandwich", "random": 0}
    game, wanted = (distiller(supernet=True, sampling=sampling, gan_mode="lsgan") for _ in range(2))
    b, space, student, judge = batch(0), wanted.space, wanted.generator, wanted.players["discriminator"]
    players = (wanted.players["student"], judge)
    optimizers = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in players]
    seen, terms = {}, []
    with torch.no_grad():
        wanted.frozen["teacher"](b.x, lambda name, x: seen.setdefault(("teacher", name), x))
    for genome in (space.largest, space.smallest):
        fake = student(b.x, space.widths(genome), lambda name, x, g=genome: seen.setdefault((g, name), x))
        scores = judge(torch.cat([b.x, fake], 1))
        distil = sum(
            (wanted.adaptors.adapt(tap, seen[genome, tap]) - seen["teacher", tap]).square().mean()
            for tap in wanted.adaptors.taps
        )
        recon = 100 * (fake - b.y).abs().mean()
        detached = judge(torch.cat([b.x, fake.detach()], 1))
        terms.append(
            dict(
                D_fake=detached.square().mean(), G_gan=(scores - 1).square().mean(), G_recon=recon, G_distil=distil
            )
        )
    mean = {name: sum(t[name] for t in terms) / 2 for name in terms[0]}
    mean["D_real"] = (judge(torch.cat([b.x, b.y], 1)) - 1).square().mean()
    (mean["G_gan"] + mean["G_recon"] + mean["G_distil"]).backward(
        inputs=list(players[0].parameters()), retain_graph=True
    )
    ((mean["D_fake"] + mean["D_real"]) / 2).backward(inputs=list(judge.parameters()))
    for optimizer in optimizers:
        optimizer.step()

    found = game.step(b, random.Random(0))
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(
        {name: loss.item() for name, loss in mean.items()}, rel=1e-12
    )
    for name in ("student", "discriminator"):
        state = wanted.players[name].state_dict()
        for key, tensor in game.players[name].state_dict().items():
            torch.testing.assert_close(tensor, state[key], rtol=1e-9, atol=1e-12)
