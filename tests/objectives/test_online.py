"""OMGD's game, and pix2pix with several generators, which it is made of."""

import json
import random
from copy import deepcopy

import pytest
import torch
from torch import nn

from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.losses.perceptual import feature_loss, grams, style_distance
from pocketgan.losses.structural import ssim_loss, total_variation
from pocketgan.networks import DeepResnetSpec, SharedPatchSpec
from pocketgan.objectives.online import OnlineDistiller, OnlineSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.training.state import load_state, save_state
from tests.objectives import test_games, test_golden
from tests.objectives.toys import JUDGE, STUDENT, TEACHER, Seer, batch, filled, play, same

DEEP = DeepResnetSpec.uniform(1)
SHARED = SharedPatchSpec(width=2, layers=1, shared=2)


def online(
    *,
    roles=("wide", "deep"),
    judge=SHARED,
    supernet: bool = False,
    lr: float = 2e-4,
    teaching_lr: float | None = None,
    **settings,
) -> OnlineDistiller:
    teaching = Pix2PixSettings(lr=teaching_lr or lr, **settings.pop("teaching", {}))
    made = OnlineSettings(teaching=teaching, lr=lr, **{"n_dis": 1, **settings})
    space = uniform_space(STUDENT, (3, 2, 1)) if supernet else None
    spec = space.spec if space else STUDENT
    connectors = ChannelConnectors({t: (spec.tap_channels(t), TEACHER.tap_channels(t)) for t in spec.taps})
    teachers = {"wide": filled(TEACHER.build(), 0.3), "deep": filled(DEEP.build(), 0.7)}
    return OnlineDistiller(
        made,
        filled(Supernet(spec) if space else spec.build(), 0.45),
        filled(judge.build(), 0.6) if made.n_dis else None,
        connectors=filled(connectors, 0.5) if made.channel else None,
        perceptual=filled(Seer(), 2.0) if made.style or made.feature else None,
        space=space,
        **{role: teachers[role] for role in roles},
    )


GAMES = {
    "omgd": (online, {}),
    "omgd-cadence": (online, dict(n_dis=2, teaching=dict(gan_mode="lsgan", recon_loss="l2"))),
    "omgd-wide": (online, dict(roles=("wide",), judge=JUDGE, style=0, feature=0, channel=5)),
    "omgd-deep": (online, dict(roles=("deep",), judge=JUDGE, channel=0)),
    "pocket-supernet": (online, dict(roles=("wide",), judge=JUDGE, supernet=True, truth=True)),
}
games = pytest.mark.parametrize("name", GAMES)


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    """What holds for every game is asked of these too."""
    for name, entry in GAMES.items():
        monkeypatch.setitem(test_golden.GAMES, name, entry)


@games
@pytest.mark.parametrize(
    "check",
    [
        test_golden.test_losses_are_those_on_record,
        test_golden.test_the_record_depends_on_the_updates,
        test_games.test_a_turn_concerns_its_players_alone,
        test_games.test_what_is_told_is_what_is_learned,
        test_games.test_losses_are_numbers_without_gradients,
        test_games.test_products_are_whole_networks,
        test_games.test_lower_precision_reaches_every_network,
    ],
    ids=lambda check: check.__name__.removeprefix("test_"),
)
def test_it_is_a_game(name, check):
    check(name)


@games
def test_a_stopped_training_goes_on_as_if_it_had_not_been(name, tmp_path):
    """After three steps, which is between two turns of a teacher that learns every other step."""
    test_games.test_a_stopped_training_goes_on_as_if_it_had_not_been(name, tmp_path)


@games
@pytest.mark.parametrize("half", ["x", "y"])
def test_a_loss_that_is_not_finite_changes_no_weight(name, half):
    test_games.test_a_loss_that_is_not_finite_changes_no_weight(name, half)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def test_the_student_s_step_leaves_the_others_as_they_are():
    game = online(n_dis=3)
    for number in range(1, 7):
        before = {role: weights(network) for role, network in game.players.items()}
        (losses,) = play(game, 1, first=number)
        moved = {role for role, network in game.players.items() if not same(weights(network), before[role])}
        assert moved == ({"student", "wide", "deep", "discriminator"} if number % 3 == 0 else {"student"})
        assert ("D_real_wide" in losses) == (number % 3 == 0)


@pytest.mark.parametrize(
    ("times", "truth", "labelled"),
    [
        (0, False, []),
        (0, True, [2, 4, 6, 8]),
        (1, False, [1, 2, 3, 4, 5, 6, 7, 8]),
        (3, False, [3, 6]),
        (3, True, [3, 6]),
    ],
)
def test_which_steps_are_for_real_images(times, truth, labelled):
    game = online(n_dis=times, truth=truth)
    assert [step for step in range(1, 9) if game.labelled(step)] == labelled
    assert [step for step in range(1, 9) if game.turn(step)] == (labelled if times else [])


def test_averages_of_elastic_kernels_are_refused():
    space = space_named("3_2,kernel=5_3", STUDENT)
    for settings in (dict(ema=0.5), dict(ema=0.0)):
        game, made = OnlineSettings(n_dis=0, style=0, feature=0, channel=0, **settings), Supernet(space.spec)
        if settings["ema"]:
            with pytest.raises(SpecError) as error:
                OnlineDistiller(game, made, None, wide=TEACHER.build(), space=space)
            assert str(error.value) == (
                "averaged weights (objective.ema) and elastic kernels do not go together; set ema to 0 or leave "
                "kernel= out of the space"
            )
        else:
            assert OnlineDistiller(game, made, None, wide=TEACHER.build(), space=space).generator is made


def test_teachers_see_a_batch_once_and_keep_no_graph_without_a_turn():
    game, seen = online(n_dis=2), []
    for role in ("wide", "deep"):
        game.players[role].register_forward_hook(
            lambda module, inputs, output, role=role: seen.append((role, output.requires_grad))
        )
    play(game, 2)
    assert seen == [("wide", False), ("deep", False), ("wide", True), ("deep", True)]


def test_the_student_s_terms_are_those_of_the_paper():
    """Written out, against the images and features of the teachers from before the step."""
    game, wanted, x = online(), online(), batch(0).x
    taken = {}

    def keep(name, value):
        return taken.setdefault(name, value)

    images = {"wide": wanted.players["wide"](x, keep).detach(), "deep": wanted.players["deep"](x).detach()}
    of_teacher, taken = taken, {}
    image = wanted.generator(x, lambda name, value: taken.setdefault(name, value))
    terms, see = {"G_tv": 2 * 1e-5 * total_variation(image)}, wanted.frozen["perceptual"]
    for role, target in images.items():
        mine, theirs = see(image), see(target)
        stages = ("stage1", "stage2", "stage3", "stage4")
        terms[f"G_ssim_{role}"] = 10 * ssim_loss(image, target)
        styles = [1e4 * style_distance(grams({stage: mine[stage]}), grams(theirs)) for stage in stages]
        assert min(styles) > 1e-6, "else a stage could be forgotten"
        terms[f"G_style_{role}"] = sum(styles)
        terms[f"G_feature_{role}"] = 10 * feature_loss(mine["stage2"], theirs["stage2"])
    connectors = wanted.players["student"].adaptors
    terms["G_channel"] = 50 * sum(
        (connectors.taps[tap](taken[tap]).mean((2, 3)) - of_teacher[tap].mean((2, 3))).square().mean()
        for tap in STUDENT.taps
    )
    adam = torch.optim.Adam(wanted.players["student"].parameters(), 2e-4, (0.5, 0.999))
    sum(terms.values()).backward()
    adam.step()

    found = game.step(batch(0), random.Random(0))
    teaching = {f"{t}_{role}" for t in ("D_fake", "D_real", "G_gan", "G_recon") for role in images}
    assert found.keys() == terms.keys() | teaching
    for name, term in terms.items():
        assert found[name].item() == pytest.approx(term.item(), rel=1e-12), name
    for name, tensor in weights(wanted.players["student"]).items():
        # biases before a norm without affine have no gradient but rounding, which Adam enlarges
        torch.testing.assert_close(weights(game.players["student"])[name], tensor, rtol=0, atol=1e-8)


def test_the_student_imitates_what_teachers_were():
    """How far they go in a step is nothing to it before the next one."""
    slow, fast = online(teaching_lr=1e-4), online(teaching_lr=1e-2)
    play(slow, 1), play(fast, 1)
    assert not same(weights(slow.players["wide"]), weights(fast.players["wide"]))
    assert same(weights(slow.players["student"]), weights(fast.players["student"]))
    play(slow, 1, first=1), play(fast, 1, first=1)
    assert not same(weights(slow.players["student"]), weights(fast.players["student"]))


def test_the_student_needs_no_real_image():
    game, other = online(), online()
    given = batch(0)
    game.step(given, random.Random(0))
    other.step(given._replace(y=-given.y), random.Random(0))
    assert same(weights(game.players["student"]), weights(other.players["student"]))
    assert not same(weights(game.players["wide"]), weights(other.players["wide"]))


def test_teachers_know_nothing_of_the_student():
    """They learn the same with another one; and with the discriminator of before the step."""
    game, other = online(), online(lr=1e-3, teaching_lr=2e-4, ssim=1, channel=0)
    play(game, 3), play(other, 3)
    for role in ("wide", "deep", "discriminator"):
        assert same(weights(game.players[role]), weights(other.players[role]))

    first = online()
    b, (mine,) = batch(0), play(online(), 1)
    fakes = {role: first.players[role](b.x) for role in ("wide", "deep")}
    for name, loss in first.teaching.image_terms(b, fakes).items():
        assert mine[name].item() == loss.item(), name


def test_products_are_the_student_and_its_teachers():
    game = online()
    assert game.products == {
        "model": game.generator,
        "teacher": game.players["wide"],
        "deep_teacher": game.players["deep"],
        "discriminator": game.players["discriminator"],
    }
    assert online(roles=("wide",), judge=JUDGE).products.keys() == {"model", "teacher", "discriminator"}
    deep = online(roles=("deep",), judge=JUDGE, channel=0)
    assert deep.products.keys() == {"model", "deep_teacher", "discriminator"}


def test_a_term_without_weight_needs_nothing():
    game = online(style=0, feature=0, channel=0)
    assert not game.frozen
    assert weights(game.players["student"]).keys() == {f"network.{name}" for name in weights(game.generator)}
    (losses,) = play(game, 1)
    assert {name for name in losses if "style" in name or "feature" in name or "channel" in name} == set()


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        (
            {},
            {},
            "an online student learns from its teachers alone, and there is none; hand in a wide or a deep one",
        ),
        (
            dict(style=0, feature=0),
            dict(deep=TEACHER),
            "channel distillation has the weight 50 and no wide teacher; hand one in, or set channel to 0",
        ),
        (
            dict(style=0, feature=0),
            dict(wide=TEACHER),
            "channel distillation has the weight 50 and no connectors; hand some in, or set channel to 0",
        ),
        (
            dict(channel=0, feature=0),
            dict(wide=TEACHER),
            "the style term has the weight 10000 and no network to see with; hand one in, or set style to 0",
        ),
        (
            dict(channel=0, style=0),
            dict(wide=TEACHER),
            "the feature term has the weight 10 and no network to see with; hand one in, or set feature to 0",
        ),
    ],
)
def test_what_is_missing_is_told(settings, given, message):
    teachers = {role: spec.build() for role, spec in given.items()}
    with pytest.raises(SpecError) as error:
        OnlineDistiller(OnlineSettings(**settings), STUDENT.build(), JUDGE.build(), **teachers)
    assert str(error.value) == message


def test_settings_are_the_published_ones_and_survive_json():
    settings = OnlineSettings()
    assert settings.model_dump() == {
        "kind": "online",
        "teaching": Pix2PixSettings().model_dump(),
        "n_dis": 3,
        "ssim": 10,
        "style": 1e4,
        "feature": 10,
        "total_variation": 1e-5,
        "channel": 50,
        "lr": 2e-4,
        "betas": (0.5, 0.999),
        "sampling": {"kind": "sandwich", "random": 1},
        "ema": 0,
        "pixel": 0,
        "truth": False,
    }
    assert OnlineSettings.model_validate_json(settings.model_dump_json()) == settings
    assert hash(settings) == hash(settings.model_copy())


# -- finished teachers, averages, the truth, many students


def test_finished_teachers_stay_as_they_are():
    game = online(n_dis=0)
    before = {role: deepcopy(network.state_dict()) for role, network in game.frozen.items()}
    losses = play(game, 3)
    assert not game.products["teacher"].training
    assert {"teacher", "deep_teacher", "model"} == game.products.keys()
    assert set(game.players) == {"student"}
    assert all(name.startswith("G_") for step in losses for name in step)
    for role, state in before.items():
        assert same(state, game.frozen[role].state_dict()), role


def test_teachers_that_learn_need_a_discriminator():
    with pytest.raises(SpecError, match="set n_dis to 0 without one"):
        OnlineDistiller(OnlineSettings(style=0, feature=0, channel=0), STUDENT.build(), None, wide=TEACHER.build())


def test_the_average_is_that_of_the_weights():
    game, plain = online(ema=0.75), online()
    average = weights(game.products["model"])
    for number in range(4):
        play(game, 1, first=number), play(plain, 1, first=number)
        now = weights(plain.products["model"])
        average = {name: 0.75 * kept + 0.25 * now[name] for name, kept in average.items()}
        assert same(weights(game.generator), now), "the student itself learns as ever"
    for name, tensor in weights(game.products["model"]).items():
        torch.testing.assert_close(tensor, average[name], rtol=0, atol=1e-15)


def test_the_average_moves_to_the_device_of_the_student():
    game = online(ema=0.5)
    game.setup(torch.device("meta"), "fp32")
    assert {tensor.device.type for tensor in weights(game.products["model"]).values()} == {"meta"}


def test_an_average_survives_an_interruption(tmp_path):
    whole, first, second = online(ema=0.5), online(ema=0.5), online(ema=0.5)
    play(whole, 3), play(first, 2)
    save_state(first.state_dict(), tmp_path / "state")
    second.load_state_dict(load_state(tmp_path / "state"))
    play(second, 1, first=2)
    assert same(weights(second.products["model"]), weights(whole.products["model"]))


def test_the_truth_counts_as_one_more_teacher_where_there_is_one():
    told, silent = online(truth=True, n_dis=2), online(n_dis=2)
    given = batch(0)
    mine, theirs = told.step(given, random.Random(0)), silent.step(given, random.Random(0))
    assert mine.keys() - theirs.keys() == {"G_ssim_truth", "G_style_truth", "G_feature_truth"}
    image = silent_image = None
    for game in (told, silent):
        image, silent_image = game.generator(batch(1).x), image
    assert not torch.equal(image, silent_image)
    fresh = online(truth=True, n_dis=2)
    wanted = 10 * ssim_loss(fresh.generator(given.x), given.y)
    assert mine["G_ssim_truth"].item() == pytest.approx(wanted.item(), rel=1e-12)
    assert mine["G_tv"].item() == pytest.approx(3 / 2 * theirs["G_tv"].item(), rel=1e-12)

    alone = online(truth=True, n_dis=2).step(given._replace(y=given.y[:0]), random.Random(0))
    assert alone.keys() == theirs.keys()


def test_one_forward_of_the_teachers_serves_every_subnet():
    game, seen, visited = online(supernet=True, roles=("wide",), judge=JUDGE), [], []
    game.players["wide"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    game.generator.register_forward_hook(lambda module, inputs, output: visited.append(inputs[1]))
    play(game, 1)
    assert len(seen) == 1
    drawn = game.space.sample(random.Random(0))
    assert visited == [game.space.subspec(genome) for genome in (game.space.largest, game.space.smallest, drawn)]


if __name__ == "__main__":
    # puts new curves on record: `python -m tests.objectives.test_online`
    test_golden.GAMES.update(GAMES)
    for game in GAMES:
        (test_golden.FOLDER / f"{game}.json").write_text(json.dumps(test_golden.curve(game), indent=1) + "\n")
