"""MUNIT's distillation against its losses written out, and of a supernet against that of the extracted subnet."""

import random
from copy import deepcopy

import pytest
import torch

from pocketgan.elastic.space import Choice
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.losses.distillation import Adaptors
from pocketgan.objectives.munit_distil import MunitDistiller, MunitDistilSettings
from tests.objectives.test_munit import distance, drawn
from tests.objectives.toys import MUNIT, MUNIT_JUDGE, batch, filled, munit_distiller, play


def naive(game, steps: int):
    """The losses of some steps of a plain student, and the networks after them."""
    student, conv = deepcopy(game.generator), deepcopy(game.adaptors.taps["content"])
    judge, teacher, s = deepcopy(game.players["discriminator"]), game.frozen["teacher"], game.settings

    def adam(*networks):
        tensors = [p for network in networks for p in network.parameters()]
        return torch.optim.Adam(tensors, s.lr, s.betas, weight_decay=s.weight_decay)

    g_adam, d_adam = adam(student, conv), adam(judge)
    told = []
    for number in range(steps):
        (x, y, _), rng = batch(number), random.Random(number)
        odd = (number + 1) % 2 == 1
        with torch.no_grad():
            teacher_style = teacher.style(y) if odd else drawn(rng, len(x))
            teacher_content = teacher.content(x)
            wanted = teacher.decode(teacher_content, teacher_style)
        style = student.style(y) if odd else teacher_style
        content = student.content(x)
        fake = student.decode(content, style)
        losses = {
            "G_gan": s.gan * sum((score - 1).square().mean() for score in judge(fake)),
            "G_image": s.image * distance(fake, wanted),
            "G_content": s.content * distance(conv(content), teacher_content),
        }
        if odd:
            losses["G_style"] = s.style * distance(style, teacher_style)
        g_adam.zero_grad()
        sum(losses.values()).backward()
        d_adam.zero_grad()  # both gradients are taken with D as it was
        losses["D_fake"] = sum(score.square().mean() for score in judge(fake.detach()))
        losses["D_real"] = sum((score - 1).square().mean() for score in judge(y))
        (losses["D_fake"] + losses["D_real"]).backward()
        g_adam.step()
        d_adam.step()
        told.append({name: loss.item() for name, loss in losses.items()})
    return told, (student, conv, judge)


@pytest.mark.parametrize("settings", [{}, dict(gan=0.5, image=3.0, content=2.0, style=0.7, lr=1e-2)])
def test_steps_are_the_losses_written_out(settings):
    game = munit_distiller(**settings)
    wanted, networks = naive(game, 4)
    for found, want in zip(play(game, 4), wanted, strict=True):
        assert {name: loss.item() for name, loss in found.items()} == pytest.approx(want, rel=1e-9)
    found = (game.generator, game.adaptors.taps["content"], game.players["discriminator"])
    for ours, theirs in zip(found, networks, strict=True):
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-7, atol=1e-10)


def test_a_supernet_at_one_genome_is_that_subnet():
    supernet = munit_distiller(supernet=True)
    genome = (2, 3, 1, 2, 3, 1, 2, 1, 3, 2)
    choices = zip(supernet.space.choices, genome, strict=True)
    fixed = tuple(Choice(positions=choice.positions, options=(number,)) for choice, number in choices)
    supernet.space = supernet.space.model_copy(update={"choices": fixed})
    widths = supernet.space.widths(genome)
    network = supernet.generator.extract(widths)
    wide = supernet.adaptors.taps["content"]
    adaptors = Adaptors({"content": (network.spec.tap_channels("content"), wide.out_channels)}).double()
    with torch.no_grad():
        adaptors.taps["content"].weight.copy_(wide.weight[:, : adaptors.taps["content"].in_channels])
        adaptors.taps["content"].bias.copy_(wide.bias)
    plain = MunitDistiller(
        MunitDistilSettings(),
        deepcopy(supernet.frozen["teacher"]),
        network,
        adaptors,
        deepcopy(supernet.players["discriminator"]),
    )
    for a, b in zip(play(supernet, 4), play(plain, 4), strict=True):
        assert {k: v.item() for k, v in a.items()} == pytest.approx({k: v.item() for k, v in b.items()}, rel=1e-9)
    for name, tensor in supernet.generator.extract(widths).state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-7, atol=1e-10)


def test_a_network_without_style_encoder_is_refused():
    blind = MUNIT.model_copy(update={"style_encoder": False})
    adaptors = {"content": (blind.tap_channels("content"),) * 2}
    for teacher, student in ((MUNIT, blind), (blind, MUNIT)):
        networks = (filled(teacher.build(), 0.1), filled(student.build(), 0.2), filled(Adaptors(adaptors), 0.3))
        with pytest.raises(SpecError) as error:
            MunitDistiller(MunitDistilSettings(), *networks, MUNIT_JUDGE.build())
        assert str(error.value) == (
            "the distillation of a munit compares style codes, and one of its networks has no style encoder; "
            "leave style_encoder=false out of its spec"
        )


def test_a_supernet_runs_no_more_than_it_needs():
    """Of the images whose style is read, only the style."""
    game, seen = munit_distiller(supernet=True), []
    assert isinstance(game.generator, Supernet)
    game.generator.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    b = batch(0)
    game.step(b, random.Random(0))
    assert len(seen) == 1
    assert seen[0] is b.x
