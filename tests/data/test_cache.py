import numpy as np
import pytest
from PIL import Image

from pocketgan.data import cache
from pocketgan.data.cache import load_pairs
from pocketgan.data.task import open_task
from pocketgan.errors import DataError, OutputError
from tests.data.pictures import picture, write_aligned, write_folders


def shrunk(array: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((side, side), Image.Resampling.BICUBIC))


@pytest.fixture
def task(tmp_path):
    return open_task(write_folders(tmp_path / "data", 10, side=20), size=16)


def test_pixels_of_folders(task, tmp_path):
    for training, side in ((True, 18), (False, 16)):
        pairs = load_pairs(task, "train", tmp_path / "cache", training=training)
        assert pairs.images.shape == (len(pairs), 2, side, side, 3)
        assert pairs.names == [pair.name for pair in task.files("train")]
        for name, (source, target) in zip(pairs.names, pairs.images, strict=True):
            index = int(name[1:])
            np.testing.assert_array_equal(source, shrunk(picture(index, 20, 20), side))
            np.testing.assert_array_equal(target, shrunk(picture(100 + index, 20, 20), side))


def test_pixels_of_halves(tmp_path):
    task = open_task(write_aligned(tmp_path / "data", 10), size=16)
    pairs = load_pairs(task, "test", tmp_path / "cache", training=False)
    for name, (source, target) in zip(pairs.names, pairs.images, strict=True):
        whole = picture(int(name[1:]), 16, 32)
        np.testing.assert_array_equal(source, whole[:, :16])
        np.testing.assert_array_equal(target, whole[:, 16:])


def test_one_cache_serves_both_directions(task, tmp_path):
    backward = open_task(tmp_path / "data", size=16, direction="BtoA")
    there = load_pairs(task, "train", tmp_path / "cache", training=False)
    back = load_pairs(backward, "train", tmp_path / "cache", training=False)
    np.testing.assert_array_equal(there.images[:, 0], back.images[:, 1])
    np.testing.assert_array_equal(there.images[:, 1], back.images[:, 0])
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_existing_cache_is_mapped_not_decoded(task, tmp_path, monkeypatch):
    first = load_pairs(task, "train", tmp_path / "cache", training=True)
    monkeypatch.setattr(cache, "read_rgb", None)
    again = load_pairs(task, "train", tmp_path / "cache", training=True)
    assert isinstance(again.images, np.memmap)
    assert not again.images.flags.writeable
    np.testing.assert_array_equal(first.images, again.images)


def test_caches_of_splits_sizes_and_data_differ(task, tmp_path):
    for split in ("train", "select", "test"):
        for training in (True, False):
            load_pairs(task, split, tmp_path / "cache", training=training)
    other = open_task(write_folders(tmp_path / "other", 9, side=20), size=16)
    load_pairs(other, "test", tmp_path / "cache", training=True)
    assert len(list((tmp_path / "cache").iterdir())) == 7


def test_progress_counts_pairs(task, tmp_path):
    seen = []
    load_pairs(task, "test", tmp_path, training=True, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_truncated_image_is_named_and_leaves_no_cache(task, tmp_path):
    path = tmp_path / "data" / "A" / "p04.png"
    path.write_bytes(path.read_bytes()[:-200])
    cut = open_task(tmp_path / "data", size=16)  # the header is whole
    (split,) = (s for s in ("train", "select", "test") if "p04" in {pair.name for pair in cut.files(s)})
    with pytest.raises(DataError) as caught:
        load_pairs(cut, split, tmp_path / "cache", training=True)
    assert str(caught.value) == f"{path} is corrupt, truncated or no image; replace or remove it"
    assert list((tmp_path / "cache").iterdir()) == []


def test_cache_that_cannot_be_written(task, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.touch()
    with pytest.raises(OutputError) as caught:
        load_pairs(task, "train", blocked, training=True)
    assert str(caught.value).startswith(f"cannot write the cache {blocked}/train-18-")
    assert str(caught.value).endswith("; choose another place")
