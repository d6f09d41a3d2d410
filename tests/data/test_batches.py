import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketgan.data.batches import (
    evaluation_batches,
    prefetch,
    steps_per_epoch,
    student_batches,
    target_batches,
    training_batches,
)
from pocketgan.data.cache import Examples, Images
from pocketgan.data.labels import LabelMaps, encode, pack
from pocketgan.seeds import derive_seed
from tests.data.pictures import numbers, picture


def images(letter: str, count: int, first: int = 0, height: int = 12, width: int = 12) -> Images:
    pixels = np.stack([picture(first + index, height, width) for index in range(count)])
    return Images([f"{letter}{index}" for index in range(count)], pixels)


def pair_set(count: int, side: int = 12, width: int | None = None) -> Examples:
    """Targets are the sources inverted, so that any difference in crop or mirroring shows."""
    sources = images("p", count, height=side, width=width or side)
    return Examples(sources, Images(sources.names, 255 - sources.pixels))


def two_sets(a: int, b: int) -> Examples:
    return Examples(images("a", a), images("b", b, 100), paired=False)


def epoch(pairs: Examples, **options) -> list:
    defaults = {"batch_size": 3, "size": (8, 8), "flip": True, "seed": 1, "epoch": 0}
    return on_cpu(training_batches(pairs, **(defaults | options)))


def on_cpu(batches) -> list:
    return [batch.on(torch.device("cpu")) for batch in batches]


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        a.names == b.names and torch.equal(a.x, b.x) and torch.equal(a.y, b.y)
        for a, b in zip(first, second, strict=True)
    )


def placements(pairs: Examples, batch, place: int) -> list[tuple[int, int, bool]]:
    """All (top, left, mirrored) that explain an image of a batch, by trying them all."""
    sources = pairs.sources
    return found_in(sources.pixels[sources.names.index(batch.names[place])], batch.x[place])


def found_in(whole: np.ndarray, tensor: torch.Tensor) -> list[tuple[int, int, bool]]:
    whole, image = whole.astype(np.float32) / 127.5 - 1, tensor.permute(1, 2, 0).numpy()
    height, width = image.shape[:2]
    rows, columns = range(whole.shape[0] - height + 1), range(whole.shape[1] - width + 1)
    return [
        (top, left, mirrored)
        for top, left, mirrored in itertools.product(rows, columns, (False, True))
        if np.allclose(
            whole[top : top + height, left : left + width][:, :: -1 if mirrored else 1], image, atol=1e-6
        )
    ]


@pytest.mark.parametrize(("pairs", "batch_size", "steps"), [(10, 3, 3), (9, 3, 3), (2, 3, 1), (3, 3, 1), (5, 1, 5)])
def test_steps_per_epoch(pairs, batch_size, steps):
    assert steps_per_epoch(pairs, batch_size) == steps
    assert len(epoch(pair_set(pairs), batch_size=batch_size)) == steps


def test_batches_are_shuffled_crops_alike_in_both_halves():
    pairs = pair_set(10)
    batches = epoch(pairs)
    found = []
    for batch in batches:
        assert batch.x.shape == batch.y.shape == (3, 3, 8, 8)
        assert batch.x.is_contiguous()
        assert batch.y.is_contiguous()
        torch.testing.assert_close(batch.x, -batch.y)
        for place in range(3):
            (only,) = placements(pairs, batch, place)
            found.append(only)
    names = [name for batch in batches for name in batch.names]
    assert len(set(names)) == 9  # each at most once, the tenth dropped
    assert names != sorted(names)
    assert len({(top, left) for top, left, _ in found}) > 4
    assert {mirrored for *_, mirrored in found} == {True, False}


def test_all_corners_are_reached_evenly():
    pairs = pair_set(400, side=10)
    seen = [placements(pairs, batch, 0)[0] for batch in epoch(pairs, batch_size=1)]
    for row in range(3):
        assert 90 < sum(top == row for top, _, _ in seen) < 180  # 133 expected
        assert 90 < sum(left == row for _, left, _ in seen) < 180
    assert 150 < sum(mirrored for *_, mirrored in seen) < 250


def test_without_flip_nothing_is_mirrored_and_crops_stay():
    pairs = pair_set(9)
    free, fixed = epoch(pairs), epoch(pairs, flip=False)
    for a, b in zip(free, fixed, strict=True):
        assert a.names == b.names
        for place in range(3):
            top, left, _ = placements(pairs, a, place)[0]
            assert placements(pairs, b, place) == [(top, left, False)]


def test_whole_image_when_nothing_is_to_crop():
    pairs = pair_set(3, side=8)
    (batch,) = epoch(pairs, flip=False)
    assert [placements(pairs, batch, place) for place in range(3)] == [[(0, 0, False)]] * 3


@pytest.mark.parametrize("start", range(5))
def test_starting_late_gives_the_remaining_batches(start):
    pairs = pair_set(13)
    assert same(epoch(pairs, start_step=start), epoch(pairs)[start:])


def test_seed_and_epoch_decide():
    pairs = pair_set(9)
    assert same(epoch(pairs), epoch(pairs))
    assert not same(epoch(pairs), epoch(pairs, epoch=1))
    assert not same(epoch(pairs), epoch(pairs, seed=2))


def test_global_random_state_is_left_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    epoch(pair_set(9))
    assert (torch.rand(1), np.random.rand()) == expected


def test_fewer_pairs_than_a_batch_are_repeated():
    (batch,) = epoch(pair_set(2), batch_size=5)
    assert batch.names[:2] == batch.names[2:4]
    assert set(batch.names) == {"p0", "p1"}
    assert batch.x.shape[0] == 5


def test_batches_do_not_share_memory():
    batches = epoch(pair_set(9))
    before = batches[1].x.clone()
    batches[0].x.zero_()
    batches[0].y.zero_()
    assert torch.equal(batches[1].x, before)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 20])
def test_evaluation_gives_everything_in_order(batch_size):
    pairs = pair_set(7)
    batches = list(evaluation_batches(pairs, batch_size))
    assert [name for batch in batches for name in batch.names] == pairs.sources.names
    expected = torch.from_numpy(pairs.sources.pixels.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    torch.testing.assert_close(torch.cat([batch.x for batch in batches]), expected)
    torch.testing.assert_close(torch.cat([batch.y for batch in batches]), -expected)
    targets = list(target_batches(pairs, batch_size))
    assert [name for batch in targets for name in batch.names] == pairs.targets.names
    assert torch.equal(torch.cat([batch.y for batch in targets]), torch.cat([batch.y for batch in batches]))


# The numbers that trainings of pairs have always seen


def as_ever(sources, targets, names, *, batch_size, size, flip, seed, epoch, start_step=0):
    """Batches of square pairs as the first version made them, said once more in plain words."""
    count = len(names)
    steps = max(1, count // batch_size)
    order = np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(count)
    order = [order[position % count] for position in range(steps * batch_size)]
    chance = np.random.default_rng(derive_seed(seed, "augmentation", epoch))
    corners = chance.integers(0, sources.shape[1] - size + 1, (len(order), 2))
    mirrored = chance.random(len(order)) < (0.5 if flip else 0)
    for step in range(start_step, steps):
        made = []
        for whole in (sources, targets):
            batch = []
            for position in range(step * batch_size, (step + 1) * batch_size):
                top, left = corners[position]
                crop = whole[order[position]][top : top + size, left : left + size]
                crop = crop[:, ::-1] if mirrored[position] else crop
                batch.append(crop.transpose(2, 0, 1).astype(np.float32) / np.float32(127.5) - np.float32(1))
            made.append(torch.from_numpy(np.stack(batch)))
        positions = range(step * batch_size, (step + 1) * batch_size)
        yield made[0], made[1], tuple(names[order[position]] for position in positions)


@pytest.mark.parametrize("count", [2, 7, 20])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize(("size", "start_step"), [(12, 0), (9, 0), (5, 1)])
def test_square_pairs_give_the_batches_of_ever(count, flip, size, start_step):
    pairs = pair_set(count)
    options = {"batch_size": 3, "flip": flip, "seed": 5, "epoch": 3, "start_step": start_step}
    expected = list(as_ever(pairs.sources.pixels, pairs.targets.pixels, pairs.sources.names, size=size, **options))
    made = on_cpu(training_batches(pairs, size=(size, size), **options))
    assert len(made) == len(expected)
    for batch, (x, y, names) in zip(made, expected, strict=True):
        assert torch.equal(batch.x, x)
        assert torch.equal(batch.y, y)
        assert batch.names == names


# Height and width


def test_crops_need_not_be_square():
    pairs = pair_set(60, side=10, width=14)
    seen = [placements(pairs, batch, place) for batch in epoch(pairs, size=(7, 9)) for place in range(3)]
    assert all(len(found) == 1 for found in seen)
    assert {top for ((top, _, _),) in seen} == set(range(4))
    assert {left for ((_, left, _),) in seen} == set(range(6))
    batch = epoch(pairs, size=(7, 9))[0]
    assert batch.x.shape == (3, 3, 7, 9)
    torch.testing.assert_close(batch.x, -batch.y)


# Two sets without pairs


def drawn(examples: Examples, batches: list) -> tuple[list[int], list[int], list, list]:
    """Which image of A and of B each position shows, and where it was cut out."""
    found = []
    for domain, own in ((examples.sources, "x"), (examples.targets, "y")):
        which, places = [], []
        for batch in batches:
            for tensor in getattr(batch, own):
                fits = [(n, spot) for n, whole in enumerate(domain.pixels) for spot in found_in(whole, tensor)]
                ((number, place),) = fits
                which.append(number)
                places.append(place)
        found.append((which, places))
    return found[0][0], found[1][0], found[0][1], found[1][1]


@pytest.mark.parametrize(("a", "b"), [(12, 5), (5, 12)])
def test_the_smaller_set_is_repeated_in_new_orders(a, b):
    examples = two_sets(a, b)
    batches = epoch(examples)
    assert len(batches) == 4
    of_a, of_b, places_a, places_b = drawn(examples, batches)
    large, small = (of_a, of_b) if a > b else (of_b, of_a)
    assert sorted(large) == list(range(12))
    assert sorted(small[:5]) == sorted(small[5:10]) == list(range(5))
    assert small[:5] != small[5:10], "another order"
    assert len(set(small[10:])) == 2
    assert [name for batch in batches for name in batch.names] == [f"a{number}" for number in of_a]
    assert places_a != places_b, "crops are independent"
    assert [mirrored for *_, mirrored in places_a] != [mirrored for *_, mirrored in places_b]


def test_the_two_sets_are_shuffled_independently():
    examples = two_sets(12, 12)
    of_a, of_b, *_ = drawn(examples, epoch(examples))
    assert of_a != of_b
    next_a, next_b, *_ = drawn(examples, epoch(examples, epoch=1))
    partners = set(zip(of_a, of_b, strict=True)) & set(zip(next_a, next_b, strict=True))
    assert len(partners) < 6, "partners change from epoch to epoch"


@pytest.mark.parametrize("start", range(5))
def test_starting_late_without_pairs(start):
    examples = two_sets(13, 4)
    assert same(epoch(examples, start_step=start), epoch(examples)[start:])


def test_evaluation_without_pairs():
    examples = two_sets(5, 3)
    batches = list(evaluation_batches(examples, 2))
    assert [name for batch in batches for name in batch.names] == examples.sources.names
    assert all(batch.y.shape == (0, 3, 12, 12) for batch in batches)
    targets = list(target_batches(examples, 2))
    assert [name for batch in targets for name in batch.names] == examples.targets.names
    expected = torch.from_numpy(examples.targets.pixels.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    torch.testing.assert_close(torch.cat([batch.y for batch in targets]), expected)


# Inputs without a partner

LABELLED, EXTRA = 11, 10  # 3 steps an epoch; 21 sources, no multiple of the batch of 3 times 2
OPTIONS = {"batch_size": 3, "size": (8, 8), "flip": True, "seed": 1}


def with_inputs() -> tuple[Examples, Examples]:
    """Pairs, and the union of their sources with as many others; its targets tell whether they were looked at."""
    pairs, more = pair_set(LABELLED), images("u", EXTRA, 200)
    sources = Images(pairs.sources.names + more.names, np.concatenate([pairs.sources.pixels, more.pixels]))
    return pairs, Examples(sources, pairs.targets, paired=False)


def student_epoch(epoch: int, turn, **options) -> list:
    return on_cpu(student_batches(*with_inputs(), turn, **(OPTIONS | {"epoch": epoch} | options)))


def every(period: int):
    return lambda step: step % period == 0


@pytest.mark.parametrize("period", [1, 2, 5])
def test_the_teachers_turns_are_the_labelled_batches(period):
    """3 steps an epoch and every second or fifth step: turns wander through the epochs."""
    pairs, _ = with_inputs()
    turns, others, step = 0, 0, 0
    for number in range(6):
        batches = student_epoch(number, every(period))
        assert len(batches) == 3
        for own, labelled in zip(batches, epoch(pairs, epoch=number), strict=True):
            step += 1
            if step % period == 0:
                assert same([own], [labelled])
                turns += 1
            else:
                assert not torch.equal(own.x, labelled.x)
                assert own.y.shape == (0, 3, 8, 8)
                others += 1
    assert (turns, others) == (18 // period, 18 - 18 // period)


@pytest.mark.parametrize("period", [2, 3, 100])
def test_the_inputs_are_walked_through_before_any_repeats(period):
    _, union = with_inputs()
    total = LABELLED + EXTRA
    batches = [batch for number in range(30) for batch in student_epoch(number, every(period))]
    free = [batch for step, batch in enumerate(batches, 1) if step % period]
    names = [name for batch in free for name in batch.names]
    walks = [names[first : first + total] for first in range(0, len(names), total)]
    whole = [walk for walk in walks if len(walk) == total]
    assert len(whole) == 3 * (90 - 90 // period) // total >= 6
    assert all(sorted(walk) == sorted(union.sources.names) for walk in whole)
    assert len({tuple(walk) for walk in whole}) == len(whole), "each in an order of its own"
    assert len(set(walks[-1])) == len(walks[-1])


def test_inputs_are_crops_of_their_images_and_differ_from_walk_to_walk():
    _, union = with_inputs()
    seen: dict[str, list] = {}
    for number in range(20):
        for batch in student_epoch(number, lambda step: False):
            for place, name in enumerate(batch.names):
                (only,) = placements(union, batch, place)
                seen.setdefault(name, []).append(only)
    places = [place for found in seen.values() for place in found]
    assert {top for top, _, _ in places} == {left for _, left, _ in places} == set(range(5))
    assert {mirrored for *_, mirrored in places} == {True, False}
    assert sum(len(set(found)) > 1 for found in seen.values()) == LABELLED + EXTRA


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("number", [0, 1, 7])
def test_a_student_that_starts_late_gets_the_remaining_batches(number, start):
    for turn in (every(2), every(4), lambda step: False):
        assert same(student_epoch(number, turn, start_step=start), student_epoch(number, turn)[start:])


def test_seed_decides_on_the_inputs_and_flip_on_their_mirroring():
    never = every(1000)
    assert not same(student_epoch(0, never), student_epoch(0, never, seed=2))
    _, union = with_inputs()
    plain = student_epoch(0, never, flip=False)
    assert not any(placements(union, batch, place)[0][2] for batch in plain for place in range(3))
    assert [batch.names for batch in plain] == [batch.names for batch in student_epoch(0, never)]


def test_inputs_have_an_order_of_their_own():
    """Of a union that adds nothing, the free batches are not those of the labelled epoch."""
    pairs = pair_set(9)
    free = on_cpu(student_batches(pairs, pairs, every(1000), **OPTIONS, epoch=0))
    labelled = epoch(pairs)
    assert [batch.names for batch in free] != [batch.names for batch in labelled]
    found = [
        [placements(pairs, batch, n)[0] for batch in batches for n in range(3)] for batches in (free, labelled)
    ]
    assert found[0] != found[1], "nor are the crops"


def test_the_union_of_two_sets_feeds_the_student():
    """Labelled batches without pairs keep their own targets; a set of targets larger than the sources counts."""
    sets = two_sets(4, 9)
    union = Examples(images("a", 7), sets.targets, paired=False)
    batches = on_cpu(student_batches(sets, union, every(2), **OPTIONS, epoch=0))
    assert same([batches[1]], [epoch(sets)[1]])
    assert len(set(batches[0].names + batches[2].names)) == 6


# Label maps


def test_labels_instances_and_images_are_cut_alike():
    """The image shows the label in red and the instance in green."""
    labels = [numbers(seed, 6).astype(np.int32) for seed in range(9)]
    ids = [numbers(50 + seed, 8).astype(np.int32) for seed in range(9)]
    dense = [np.unique(each, return_inverse=True)[1].reshape(each.shape) for each in ids]
    photos = np.stack([np.stack([a, b, a], 2) for a, b in zip(labels, dense, strict=True)]).astype(np.uint8)
    maps = LabelMaps(classes=7, instances=True)
    names = [f"m{number}" for number in range(9)]
    paths = [Path(name) for name in names]
    packed = np.stack([pack(*each) for each in zip(labels, ids, paths, strict=True)])
    examples = Examples(Images(names, packed, maps), Images(names, photos))
    for batch in epoch(examples, size=(9, 11)):
        assert batch.x.shape == (3, 8, 9, 11)
        shown = ((batch.y + 1) * 127.5).round().to(torch.uint8).numpy()
        assert torch.equal(batch.x[:, :7].argmax(1), torch.from_numpy(shown[:, 0].astype(np.int64)))
        again = np.stack([shown[:, 0], shown[:, 1], np.zeros_like(shown[:, 0])], axis=3)
        assert torch.equal(encode(again, maps), batch.x), "the edges are those of the cut map"


# Prefetching


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
def test_prefetch_gives_the_same_items(count):
    assert list(prefetch(range(count))) == list(range(count))
    assert prefetch_threads() == []


def test_prefetch_gives_the_same_batches():
    pairs = pair_set(9)
    options = {"batch_size": 2, "size": (8, 8), "flip": True, "seed": 1, "epoch": 0}
    ahead = prefetch(training_batches(pairs, **options))
    assert same(on_cpu(ahead), on_cpu(training_batches(pairs, **options)))


def test_prefetch_raises_where_the_item_was_due():
    def source():
        yield 1
        yield 2
        raise RuntimeError("the disk is gone")

    items = prefetch(source())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(items)
    assert prefetch_threads() == []


def test_prefetch_runs_ahead_by_two_and_stops_with_its_consumer():
    made = []
    third = threading.Event()

    def source():
        for item in itertools.count():
            made.append(item)
            if item == 2:
                third.set()
            yield item

    items = prefetch(source())
    assert next(items) == 0
    assert third.wait(timeout=30)  # two more are made while the first is in use
    items.close()
    assert prefetch_threads() == []
    assert made == [0, 1, 2]
