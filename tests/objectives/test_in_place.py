"""In-place distillation: what it adds to pix2pix, and that it is pix2pix where nothing is added."""

import random

import pytest
import torch
from pydantic import ValidationError

from pocketgan.elastic.sampling import LevelSampling
from pocketgan.elastic.space import KernelChoice
from pocketgan.elastic.spaces import uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss
from pocketgan.objectives.in_place import InPlace, InPlaceSettings
from tests.objectives.toys import JUDGE, STUDENT, batch, filled, in_place, pix2pix, play, tensors

PLAIN = dict(matching=0, averaged=0, lr=2e-4)


def test_from_scratch_is_a_special_case():
    """A plain network without what is added: pix2pix, bit for bit."""
    from_scratch, own = pix2pix(), in_place(spec=pix2pix().generator.spec, **PLAIN)
    assert play(own, 3) == play(from_scratch, 3)
    for name in ("generator", "discriminator"):
        wanted = from_scratch.players[name].state_dict()
        assert all(torch.equal(tensor, wanted[key]) for key, tensor in own.players[name].state_dict().items())


def test_a_space_of_one_size_is_a_plain_network():
    one, plain = in_place(options=(2,)), in_place()
    assert play(one, 3) == play(plain, 3)


def test_terms_of_two_subnets():
    """Written out: the mean over both, features of the real image from before the discriminator's update, and the
    second subnet imitates the first."""
    sampling = LevelSampling(random=0)
    game, twin = (in_place(options=(3, 1), sampling=sampling, matching=7.0, imitation=3.0) for _ in range(2))
    b = batch(0)
    supernet, d = twin.generator, twin.players["discriminator"]
    made = [supernet(b.x, at) for at in ((3,) * 8, (1,) * 8)]

    def seen(image):
        x, found = torch.cat([b.x, image], 1), []
        for layer in d.layers:
            x = layer(x)
            found.append(x)
        return found

    real = seen(b.y)
    wanted = {
        "D_fake": sum(fake_loss(seen(image)[-1], "hinge") for image in made) / 2,
        "D_real": real_loss(real[-1], "hinge"),
    }
    ((wanted["D_fake"] + wanted["D_real"]) / 2).backward(inputs=list(d.parameters()), retain_graph=True)
    torch.optim.Adam(d.parameters(), 2e-4, (0.5, 0.999)).step()
    fakes = [seen(image) for image in made]
    wanted["G_gan"] = sum(fool_loss(fake[-1], "hinge") for fake in fakes) / 2
    wanted["G_recon"] = 100 * sum((image - b.y).abs().mean() for image in made) / 2
    near = [sum((f - r).abs().mean() for f, r in zip(fake[:-1], real[:-1], strict=True)) for fake in fakes]
    wanted["G_matching"] = 7 * sum(near) / 2
    wanted["G_imitation"] = 3 * (made[1] - made[0]).abs().mean()
    found = game.step(b, random.Random(0))
    assert found.keys() == wanted.keys()
    for name, loss in wanted.items():
        assert found[name].item() == pytest.approx(loss.item(), rel=1e-9), name


def test_the_largest_learns_nothing_from_those_that_imitate_it():
    sampling, quiet = LevelSampling(random=0), dict(recon=0.0, gan=0.0, matching=0.0, averaged=0.0)
    game = in_place(options=(3, 1), sampling=sampling, imitation=1.0, **quiet)
    before = tensors(game)
    play(game, 1)
    moved = {
        name: (tensor != before[name]).nonzero()
        for name, tensor in tensors(game).items()
        if name.startswith("/networks/generator/") and not torch.equal(tensor, before[name])
    }
    assert moved, "the smallest learns"
    inner = {name: places for name, places in moved.items() if ".conv" in name}
    assert all(int(places.max()) < 7 for places in inner.values()), "its leading channels alone"


def test_what_is_left_is_the_average():
    """After the first step nearly all of it is new; later it follows slowly: 1 / (share * steps + 1)."""
    game = in_place(averaged=0.5)
    mean = [p.detach().clone() for p in game.generator.parameters()]
    for number in range(3):
        play(game, 1, first=number)
        part = 1 / (0.5 * (number + 1) + 1)
        mean = [old.lerp(p.detach(), part) for old, p in zip(mean, game.generator.parameters(), strict=True)]
    left = game.products["model"]
    assert left is not game.generator
    for found, wanted in zip(left.parameters(), mean, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    plain = in_place(averaged=0)
    assert plain.products["model"] is plain.generator


def test_what_cannot_be():
    with pytest.raises(ValidationError, match="less than 1"):
        InPlaceSettings(averaged=1)
    space = uniform_space(STUDENT.model_copy(update={"kernel": 5}), (2,), (KernelChoice(options=(5, 3)),))
    with pytest.raises(SpecError, match=r"averaged weights \(objective.averaged\) and elastic kernels"):
        InPlace(InPlaceSettings(), Supernet(space.spec), JUDGE.build(), space)


def test_both_players_have_a_rate_of_their_own():
    game = in_place(lr=3e-3, discriminator_lr=1e-4)
    game.set_lr_factor(0.5)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in game.optimizers.items()}
    assert rates == {"generator": 1.5e-3, "discriminator": 5e-5}


def test_the_product_is_the_network_of_a_supernet():
    game = in_place(options=(3, 1), averaged=0)
    assert game.products["model"] is game.generator.network
    assert filled(STUDENT.build(), 0.4).spec == in_place().products["model"].spec
