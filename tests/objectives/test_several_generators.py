"""pix2pix with several generators against one discriminator, as OMGD's teachers play it."""

import pytest

from pocketgan.errors import SpecError
from pocketgan.networks import DeepResnetSpec, PatchSpec, SharedPatchSpec
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from tests.objectives.toys import JUDGE, TEACHER, filled, play

DEEP = DeepResnetSpec.uniform(1)
SHARED = SharedPatchSpec(width=2, layers=1, shared=2)


def test_generators_that_share_nothing_play_games_of_their_own():
    shared = SharedPatchSpec(width=2, layers=1, shared=0)
    judge = filled(shared.build(), 0.6)
    both = Pix2Pix(
        Pix2PixSettings(), {"wide": filled(TEACHER.build(), 0.3), "deep": filled(DEEP.build(), 0.7)}, judge
    )
    assert both.generator is both.products["model"] is both.players["wide"]
    assert both.products["deep"] is both.players["deep"]
    alone = {}
    for head, (role, spec, phase) in enumerate((("wide", TEACHER, 0.3), ("deep", DEEP, 0.7))):
        own = PatchSpec(width=2, layers=1).build().double()
        for layer, copies in zip(own.layers, judge.layers, strict=True):
            layer.load_state_dict(copies[head].state_dict())
        alone[role] = Pix2Pix(Pix2PixSettings(), filled(spec.build(), phase), own)
    wanted = {role: play(game, 3) for role, game in alone.items()}
    for number, losses in enumerate(play(both, 3)):
        expected = {f"{k}_{role}": v.item() for role, steps in wanted.items() for k, v in steps[number].items()}
        assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(expected, rel=1e-9)


def test_generators_share_a_plain_discriminator():
    """Its loss is half the sum over both of them."""
    game = Pix2Pix(
        Pix2PixSettings(),
        {"wide": filled(TEACHER.build(), 0.3), "deep": filled(DEEP.build(), 0.7)},
        filled(JUDGE.build(), 0.6),
    )
    learned, gradients = [], game.backward

    def backward(loss, *players, terms=None):
        learned.append((loss.item(), players))
        gradients(loss, *players, terms=terms)

    game.backward = backward
    (losses,) = play(game, 1)
    assert losses["D_real_wide"] == losses["D_real_deep"]
    assert losses["D_fake_wide"] != losses["D_fake_deep"]
    assert learned == [
        (pytest.approx(sum(v.item() for k, v in losses.items() if k.startswith("D")) / 2), ("discriminator",)),
        (pytest.approx(sum(v.item() for k, v in losses.items() if k.startswith("G"))), ("wide", "deep")),
    ]


def test_a_head_for_each_generator():
    with pytest.raises(SpecError) as error:
        Pix2Pix(Pix2PixSettings(), TEACHER.build(), SHARED.build())
    assert str(error.value) == (
        "a shared discriminator has a head for each generator, and there are 2 heads for 1; set heads to 1"
    )
