"""Images of a task on the device of an evaluation, and how little of them is in memory at a time."""

import gc
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from pocketgan.data.cache import load_examples
from pocketgan.data.task import open_task
from pocketgan.metrics import Evaluator, pace
from pocketgan.metrics.on_task import task_evaluator
from pocketgan.metrics.resident import BATCH, PIXELS, batch_on, sources_on, targets_on
from pocketgan.metrics.stream import Answers

from .toy import batches, darker

COUNT, CLASSES, CPU = 70, 60, torch.device("cpu")


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Label maps of many classes with photos, all in the test split but two."""
    root, random = tmp_path_factory.mktemp("maps"), np.random.default_rng(0)
    for split, count in (("train", 2), ("test", COUNT)):
        for kind, shape, most in (("label", (24, 24), CLASSES), ("img", (24, 24, 3), 256)):
            (root / f"{split}_{kind}").mkdir()
            for number in range(count):
                pixels = random.integers(0, most, shape).astype(np.uint8)
                Image.fromarray(pixels).save(root / f"{split}_{kind}" / f"{number:02}.png")
    return open_task(root, size=24, classes=CLASSES)


def test_a_split_is_never_in_memory_as_a_whole(maps, tmp_path):
    alive, most = weakref.WeakSet(), 0
    seen = 0

    def generate(x):
        nonlocal most, seen
        gc.collect()
        alive.add(x)
        most, seen = max(most, len(alive)), seen + len(x)
        assert x.shape[1] == CLASSES
        return x[:, :3]

    evaluator = task_evaluator(maps, "test", tmp_path, device="cpu", metrics=("l1",), teacher=generate)
    assert seen == 0
    assert len(evaluator(generate).names) == seen == COUNT
    assert most <= 2


def test_batches_of_a_task(maps, tmp_path):
    examples = load_examples(maps, "test", tmp_path, training=False)
    whole = [*sources_on(CPU, examples)]
    assert [len(batch.x) for batch in whole] == [16, 16, 16, 16, 6]
    assert torch.equal(torch.cat([batch.y for batch in whole]), torch.cat([b.y for b in targets_on(CPU, examples)]))
    order = np.random.default_rng(0).permutation(COUNT)
    parts = [*sources_on(CPU, examples, order, (5, 35))]
    assert [len(batch.x) for batch in parts] == [5, 11, 16, 3, 13, 16, 6]
    assert [name for batch in parts for name in batch.names] == [f"{place:02}" for place in order]
    for side in "xy":
        mixed = torch.cat([getattr(batch, side) for batch in whole])[order]
        assert torch.equal(torch.cat([getattr(batch, side) for batch in parts]), mixed)


def test_accelerators_get_batches_by_their_pixels():
    sizes = [batch_on(torch.device("cuda"), (side, side)) for side in (64, 256, 2048)]
    assert sizes == [PIXELS // 64**2, PIXELS // 256**2, BATCH]


def test_a_task_in_part_and_in_another_order(maps, tmp_path):
    options = {"device": "cpu", "metrics": ("l1",)}
    whole, few, mixed = (
        task_evaluator(maps, "test", tmp_path, **options, **more)(lambda x: x[:, :3])
        for more in ({}, {"most": 5}, {"shuffle": 1, "looks": (0.5,)})
    )
    assert few.per_image["l1"] == whole.per_image["l1"][:5]
    assert mixed.names != whole.names
    assert sorted(mixed.per_image["l1"]) == sorted(whole.per_image["l1"])


def test_a_teacher_answers_once_as_far_as_memory_is_given():
    data, asked = batches((3, 2)), []

    def teacher(x):
        asked.append(len(x))
        return -x

    bytes_of_three = 3 * data[0].x[0].numel()
    for most, again in ((1 << 20, []), (bytes_of_three, [2]), (0, [3, 2])):
        answers = Answers(data, teacher, CPU, most)
        first = [batch.y for batch in answers]
        digest = answers.sha256
        asked.clear()
        assert all(torch.equal(a, b.y) for a, b in zip(first, answers, strict=True))
        assert (asked, answers.sha256) == (again, digest)


aten = torch.ops.aten


class Waits(TorchDispatchMode):
    """Counts how often a number is asked of a tensor."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket in (aten.item, aten.is_nonzero, aten._local_scalar_dense)
        return func(*args, **(kwargs or {}))


def test_a_device_is_not_waited_for_batch_by_batch():
    counts = []
    for sizes in ((4, 4), (4,) * 6):
        evaluator = Evaluator(batches(sizes), metrics=("l1", "fd_mobilenet_v2", "teacher_l1"), teacher=torch.neg)
        evaluator(darker)  # answers are kept from now on
        with Waits() as waits:
            evaluator(darker)
        counts.append(waits.count)
    assert counts[0] == counts[1] > 0


def test_several_generators_score_as_one_by_one():
    evaluator = Evaluator(batches(), metrics=("l1", "fd_mobilenet_v2"))
    generators = (darker, lambda x: x)
    assert evaluator.scores(generators) == [evaluator(generate).scores for generate in generators]


def test_growing_ends_in_the_score_of_all_images():
    evaluator = Evaluator(batches((3, 4, 2)), metrics=("l1", "fd_mobilenet_v2"))
    whole = evaluator(darker, intervals=True)
    for name in evaluator.metrics:
        looks = [*evaluator.growing(darker, name)]
        assert [look.generated.shape for look in looks] == [(1, 3), (1, 7), (1, 9)]
        assert np.array_equal(looks[-1].generated, whole.contributions[name].generated)
        some = Evaluator(batches((3, 4, 2))[:2], metrics=(name,))(darker, intervals=True)
        assert looks[1].value == pytest.approx(some.scores[name], rel=1e-6)


def test_the_pace_is_that_of_whole_scores():
    calls = []
    x = batches((4,))[0].x
    seconds = pace.seconds_an_image(
        lambda x: calls.append(len(x)) or x, x, device=CPU, metrics=("l1", "teacher_l1")
    )
    assert calls == [4] * (pace.RUNS + 1)
    assert seconds > 0
