import itertools
import threading

import numpy as np
import pytest
import torch

from pocketgan.data.batches import evaluation_batches, prefetch, steps_per_epoch, training_batches
from pocketgan.data.cache import PairSet
from tests.data.pictures import picture


def pair_set(count: int, side: int = 12) -> PairSet:
    """Targets are the sources inverted, so that any difference in crop or mirroring shows."""
    sources = np.stack([picture(index, side, side) for index in range(count)])
    return PairSet([f"p{index}" for index in range(count)], np.stack([sources, 255 - sources], axis=1))


def epoch(pairs: PairSet, **options) -> list:
    defaults = {"batch_size": 3, "size": 8, "flip": True, "seed": 1, "epoch": 0}
    return list(training_batches(pairs, **(defaults | options)))


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        a.names == b.names and torch.equal(a.x, b.x) and torch.equal(a.y, b.y)
        for a, b in zip(first, second, strict=True)
    )


def placements(pairs: PairSet, batch, place: int) -> list[tuple[int, int, bool]]:
    """All (top, left, mirrored) that explain an image of a batch, by trying them all."""
    whole = pairs.images[pairs.names.index(batch.names[place]), 0].astype(np.float32) / 127.5 - 1
    image = batch.x[place].permute(1, 2, 0).numpy()
    size, spare = image.shape[0], whole.shape[0] - image.shape[0]
    return [
        (top, left, mirrored)
        for top, left, mirrored in itertools.product(range(spare + 1), range(spare + 1), (False, True))
        if np.allclose(whole[top : top + size, left : left + size][:, :: -1 if mirrored else 1], image, atol=1e-6)
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
    assert [name for batch in batches for name in batch.names] == pairs.names
    expected = torch.from_numpy(pairs.images.astype(np.float32) / 127.5 - 1).permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(torch.cat([batch.x for batch in batches]), expected[:, 0])
    torch.testing.assert_close(torch.cat([batch.y for batch in batches]), expected[:, 1])


# Prefetching


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
def test_prefetch_gives_the_same_items(count):
    assert list(prefetch(range(count))) == list(range(count))
    assert prefetch_threads() == []


def test_prefetch_gives_the_same_batches():
    pairs = pair_set(9)
    options = {"batch_size": 2, "size": 8, "flip": True, "seed": 1, "epoch": 0}
    assert same(list(prefetch(training_batches(pairs, **options))), list(training_batches(pairs, **options)))


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
