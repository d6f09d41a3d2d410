"""Students at several resolutions, and supernets with fewer blocks and smaller kernels."""

import random
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.elastic.sampling import ResolutionSampling, SandwichSampling, UniformSampling
from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.losses.distillation import Adaptors
from pocketgan.networks import ResnetSpec
from pocketgan.objectives.distil import Distiller, DistilSettings
from pocketgan.objectives.student import at_resolution, visited
from tests.objectives.toys import (
    JUDGE,
    batch,
    distiller,
    filled,
    labels,
    munit_distiller,
    play,
    same,
    spade_distiller,
    tensors,
)


def test_images_are_averaged_down():
    """As Pillow does it, which rounds to 8 bits."""
    b, rng = batch(0, side=32), random.Random(0)
    small = at_resolution(b, ResolutionSampling(sizes=(20,)), rng)
    assert small.names == b.names
    for made, whole in ((small.x, b.x), (small.y, b.y)):
        assert made.shape == (2, 3, 20, 20)
        for image, source in zip(made, whole, strict=True):
            for channel, pixels in zip(image, source, strict=True):
                wanted = Image.fromarray(pixels.float().numpy()).resize((20, 20), Image.Resampling.BILINEAR)
                np.testing.assert_allclose(channel.numpy(), np.asarray(wanted), atol=1e-5)


def test_label_maps_keep_whole_labels():
    b = labels(0)
    small = at_resolution(b, ResolutionSampling(sizes=(32,)), random.Random(0), labels=True)
    assert torch.equal(small.x, b.x[:, :, ::2, ::2]), "blocks of eight pixels become blocks of four"


@pytest.mark.parametrize(("make", "draw"), [(distiller, batch), (spade_distiller, labels)], ids=["distil", "spade"])
def test_of_its_teacher_a_student_needs_no_more_than_features(make, draw):
    """Where real images are the target, no layer behind the last tap runs."""
    game, ran = make(), set()
    leaves = {name: m for name, m in game.frozen["teacher"].named_modules() if not list(m.children())}
    for name, module in leaves.items():
        module.register_forward_hook(lambda module, inputs, output, name=name: ran.add(name))
    game.step(draw(0), random.Random(0))
    rest = ("up.", "head") if make is distiller else ("up.2.", "up.3.", "head")
    assert leaves.keys() - ran == {name for name in leaves if name.startswith(rest)}


def test_proportions_stay_and_no_image_may_be_missing():
    wide = Batch(torch.zeros(2, 3, 32, 64), torch.zeros(0, 3, 32, 64), ("a", "b"))
    small = at_resolution(wide, ResolutionSampling(sizes=(16,)), random.Random(0))
    assert (small.x.shape, small.y.shape) == ((2, 3, 16, 32), (0, 3, 16, 32))


def test_other_samplings_leave_batch_and_randomness_alone():
    b, rng = batch(0), random.Random(0)
    assert at_resolution(b, UniformSampling(), rng) is b
    assert rng.random() == random.Random(0).random()


@pytest.mark.parametrize("space", [False, True], ids=["plain", "supernet"])
@pytest.mark.parametrize(
    ("make", "sides", "draw"),
    [
        (distiller, (16, 12), batch),
        (munit_distiller, (32, 16), partial(batch, side=32)),
        (spade_distiller, (128, 64), partial(labels, side=128)),
    ],
    ids=["distil", "munit", "spade"],
)
def test_a_step_sees_one_resolution_and_training_all(make, sides, draw, space):
    """Both players and the teacher see it."""
    game = make(supernet=space, sampling=ResolutionSampling(sizes=sides, of=SandwichSampling(random=0)))
    seen: list[tuple[str, int]] = []

    def note(network: nn.Module, name: str) -> None:
        network.register_forward_pre_hook(lambda module, inputs: seen.append((name, inputs[0].shape[2])))

    note(game.generator, "student")
    note(game.frozen["teacher"], "teacher")
    note(game.networks["discriminator"], "discriminator")
    for number in range(6):
        seen.clear()
        game.step(draw(number), random.Random(number))
        side = random.Random(number).choice(sides)
        assert set(seen) == {("student", side), ("teacher", side), ("discriminator", side)}
    assert {random.Random(number).choice(sides) for number in range(6)} == set(sides)


# -- depth and kernels -------------------------------------------------------------------------------------------


def elastic() -> Distiller:
    """A supernet of three to one blocks, whose teacher has taps after each of three."""
    space = space_named("2_1,depth=3_2_1,kernel=5_3", ResnetSpec.uniform(1, separable=("residual",)))
    spec, teacher = space.spec, ResnetSpec.uniform(3, blocks=3)
    adaptors = Adaptors({t: (spec.tap_channels(t), teacher.tap_channels(t)) for t in spec.taps})
    return Distiller(
        DistilSettings(lr=1e-2),
        filled(teacher.build(), 0.3),
        filled(Supernet(spec), 0.4),
        filled(adaptors, 0.5),
        filled(JUDGE.build(), 0.6),
        space,
    )


def seed_of(wanted: tuple[int, int]) -> int:
    """A seed whose first draw of the space has that depth and kernel."""
    space = elastic().space
    return next(seed for seed in range(1000) if space.sample(random.Random(seed))[-2:] == wanted)


def test_what_is_visited_are_whole_networks():
    space = elastic().space
    (spec,) = visited(space, UniformSampling(), random.Random(3))
    assert spec == space.subspec(space.sample(random.Random(3)))
    assert visited(None, UniformSampling(), random.Random(3)) == (None,)


@pytest.mark.parametrize("depth", [3, 2, 1])
def test_features_are_compared_where_the_subnet_has_them(depth):
    game, b = elastic(), batch(0)
    seed = seed_of((depth, 3))
    spec = game.space.subspec(game.space.sample(random.Random(seed)))
    student, teacher = {}, {}
    with torch.no_grad():
        subnet = game.generator.extract(spec)
        subnet(b.x, lambda name, x: student.setdefault(name, x))
        game.frozen["teacher"](b.x, lambda name, x: teacher.setdefault(name, x))
        wanted = sum(
            (game.adaptors.adapt(tap, student[tap]) - teacher[tap]).square().mean()
            for tap in ("down", "block1", "block2", "block3")[: depth + 1]
        )
    assert game.step(b, random.Random(seed))["G_distil"].item() == pytest.approx(wanted.item(), rel=1e-9)


def test_matrices_learn_only_when_a_smaller_kernel_is_visited():
    game = elastic()
    before = tensors(game)
    game.step(batch(0), random.Random(seed_of((3, 5))))
    same_matrices = "/networks/student/network.kernels.to3"
    assert torch.equal(tensors(game)[same_matrices], before[same_matrices])
    game.step(batch(1), random.Random(seed_of((1, 3))))
    changed = (tensors(game)[same_matrices] - before[same_matrices]).flatten(1).any(1)
    assert changed.tolist() == [True] * 2 + [False] * 4, "of the first block alone"


def test_it_goes_on_as_if_nothing_had_stopped_it():
    whole, first, second = elastic(), elastic(), elastic()
    losses = play(whole, 6)
    before = play(first, 3)
    second.load_state_dict(first.state_dict())
    assert before + play(second, 3, first=3) == losses
    assert same(tensors(whole), tensors(second))
